#include "lib/scans/octa500.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

double octa500_millimetres(int id)
{
    return id < OCTA500_FIRST_3MM ? 6 : 3;
}

double octa500_depth(void)
{
    return 2;
}

bool octa500_tests(int id)
{
    static const short test[] = {
        10001, 10006, 10015, 10027, 10030, 10043, 10045, 10046, 10047, 10053, 10057, 10058, 10060,
        10063, 10076, 10080, 10084, 10086, 10087, 10088, 10090, 10092, 10093, 10096, 10097, 10098,
        10099, 10101, 10106, 10110, 10111, 10114, 10117, 10118, 10120, 10122, 10124, 10127, 10129,
        10130, 10131, 10132, 10135, 10136, 10139, 10146, 10149, 10151, 10152, 10153, 10158, 10165,
        10166, 10167, 10171, 10172, 10178, 10183, 10184, 10188, 10190, 10191, 10192, 10195, 10197,
        10198, 10199, 10201, 10202, 10203, 10210, 10213, 10214, 10217, 10220, 10223, 10226, 10227,
        10232, 10237, 10240, 10243, 10244, 10246, 10247, 10250, 10251, 10254, 10256, 10260, 10263,
        10268, 10270, 10271, 10296, 10297, 10298,
    };
    for (size_t i = 0; i < sizeof test / sizeof test[0]; i++)
        if (test[i] == id)
            return true;
    return false;
}

int octa500_parse(const char *text, bool chosen[OCTA500_SCANS], struct error *error)
{
    const long last_id = OCTA500_FIRST + OCTA500_SCANS - 1;
    for (const char *at = text;; at++) {
        char *end;
        long first = strtol(at, &end, 10), last = first;
        bool good = end != at && *at >= '0' && *at <= '9';
        if (good && *end == '-') {
            at = end + 1;
            last = strtol(at, &end, 10);
            good = end != at && *at >= '0' && *at <= '9';
        }
        if (!good || (*end && *end != ','))
            return error_set(error, "%s: not ids such as 10001-10010,10305", text);
        if (first < OCTA500_FIRST || last > last_id || first > last)
            return error_set(error, "%s: ids are from %d to %ld, the lower one first", text,
                             OCTA500_FIRST, last_id);
        for (long id = first; id <= last; id++)
            chosen[id - OCTA500_FIRST] = true;
        if (!*end)
            return 0;
        at = end;
    }
}

/* Where folders of a kind are, below one of `above`; FOV is 6mm or 6M, MODALITY the folder. */
static const char *const above[] = {"", "OCTA-500/", "OCTA-500_ground_truth/OCTA-500/", NULL};
static const char *const volume_places[] = {"OCTA_FOV/MODALITY", "OCTA_FOV_MODALITY", "MODALITY",
                                            NULL};
static const char *const truth_places[] = {
    "Label/MODALITY",
    "Label/Label/MODALITY",
    "GroundTruth/MODALITY",
    "OCTA_FOV/MODALITY",
    "OCTA_FOV/Label/MODALITY",
    "OCTA_FOV/GroundTruth/MODALITY",
    "MODALITY",
    NULL,
};
static const char *const projection_places[] = {
    "OCTA_FOV/Projection Maps/MODALITY",
    "OCTA_FOV/ProjectionMaps/MODALITY",
    "OCTA_FOV/Projection_Maps/MODALITY",
    "Projection Maps/MODALITY",
    NULL,
};

/* Replace a word where it stands in a place. */
static void put_place(FILE *out, const char *place, const char *field, const char *folder)
{
    for (const char *at = place; *at;) {
        if (strncmp(at, "FOV", strlen("FOV")) == 0) {
            fputs(field, out);
            at += strlen("FOV");
        } else if (strncmp(at, "MODALITY", strlen("MODALITY")) == 0) {
            fputs(folder, out);
            at += strlen("MODALITY");
        } else {
            fputc(*at++, out);
        }
    }
}

/* The path in one spelling; NULL when memory is out. */
static char *spell(const char *root, const char *prefix, const char *place, const char *field,
                   const char *folder, int id, enum octa500_kind kind)
{
    char *path = NULL;
    size_t size;
    FILE *out = open_memstream(&path, &size);
    if (!out)
        return NULL;
    fprintf(out, "%s/%s", root, prefix);
    put_place(out, place, field, folder);
    fprintf(out, "/%d%s", id,
            kind == OCTA500_VOLUME   ? ""
            : kind == OCTA500_LAYERS ? ".mat"
                                     : ".bmp");
    if (fclose(out) == 0)
        return path;
    free(path);
    return NULL;
}

int octa500_path(char **path, const char *root, enum octa500_kind kind, const char *folder, int id,
                 struct error *error)
{
    static const char *const fields[2][2] = {{"6mm", "6M"}, {"3mm", "3M"}};
    const char *const *field = fields[id >= OCTA500_FIRST_3MM];
    const char *const *places = kind == OCTA500_VOLUME       ? volume_places
                                : kind == OCTA500_PROJECTION ? projection_places
                                                             : truth_places;
    for (int i = 0; above[i]; i++)
        for (int place = 0; places[place]; place++)
            for (int spelling = 0; spelling < 2; spelling++) {
                *path = spell(root, above[i], places[place], field[spelling], folder, id, kind);
                if (!*path)
                    return error_set(error, "out of memory");
                if (access(*path, F_OK) == 0)
                    return 0;
                free(*path);
            }
    *path = spell("", "", places[0], field[0], folder, id, kind);
    error_set(error, "%s: there is no %s, nor in another spelling of OCTA-500", root,
              *path ? *path + 1 : folder);
    free(*path);
    *path = NULL;
    return -1;
}
