/* Feed a target files and folders of files, in TAP; for `make test`, and for AFL++. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST = 1 << 22 };

static int feed(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(LARGEST);
    if (!file || !data) {
        perror(path);
        exit(1);
    }
    size_t size = fread(data, 1, LARGEST, file);
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 1;
}

static int feed_folder(const char *folder)
{
    struct dirent **entry;
    int count = scandir(folder, &entry, NULL, alphasort), fed = 0;
    if (count < 0)
        return feed(folder);
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entry[i]->d_name);
        if (entry[i]->d_name[0] != '.')
            fed += feed(path);
        free(entry[i]);
    }
    free(entry);
    return fed;
}

int main(int argc, char **argv)
{
    int fed = 0;
    printf("1..1\n");
    fflush(stdout);
    for (int i = 1; i < argc; i++)
        fed += feed_folder(argv[i]);
    printf("%sok 1 - %d inputs\n", fed ? "" : "not ", fed);
    return fed ? 0 : 1;
}
