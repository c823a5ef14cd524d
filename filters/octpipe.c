/* octpipe - the front command: lists the filters, shows their help, runs them.
 *   octpipe list
 *   octpipe help noise
 *   octpipe noise --shape 8,4,16,16 | octpipe tensor-info */
#include "lib/io/filter.h"

#include <limits.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct option table[] = {{0}};

static const struct program program = {
    .name = "octpipe",
    .purpose = "list, explain and run the filters of octpipe",
    .operands = "FILTER [ARGUMENT...]",
    .details = "octpipe list names every filter with its purpose. octpipe help FILTER is "
               "FILTER --help. octpipe FILTER ARGUMENT... runs a filter, as FILTER ARGUMENT... "
               "does.",
    .example = "octpipe list\n"
               "octpipe help tensor-info\n"
               "octpipe tensor-info volume.npy",
    .options = table,
};

static struct filter filter = {.program = &program};

/* The names that the build found. */
static const char *const filters[] = {OCTPIPE_FILTERS NULL};

static const char markdown_title[] =
    "# Filters\n\n"
    "Made from the option tables by `make docs`. Every filter also takes `-h`, `--help` and\n"
    "`--version`.\n";

/* The program called `name` beside this one. */
static const char *path_of(const char *name)
{
    static char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(path, '/');
    if (!slash)
        filter_fail(&filter, "cannot find its own folder");
    size_t room = (size_t)(path + sizeof path - (slash + 1));
    if (strchr(name, '/') || snprintf(slash + 1, room, "%s", name) >= (int)room ||
        access(path, X_OK) != 0)
        filter_fail(&filter, "%s: no such filter; try octpipe list", name);
    return path;
}

static void become(const char *name, char **arguments)
{
    execv(path_of(name), arguments);
    filter_fail(&filter, "%s: cannot be run", name);
}

/* Every filter answers `question` on stdout. */
static void ask_all(const char *question)
{
    for (const char *const *name = filters; *name; name++) {
        char *arguments[] = {(char *)*name, (char *)question, NULL};
        pid_t child;
        int status;
        if (posix_spawn(&child, path_of(*name), NULL, NULL, arguments, environ) != 0 ||
            waitpid(child, &status, 0) != child || status != 0)
            filter_fail(&filter, "%s %s failed", *name, question);
    }
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 && argv[1][0] != '-' ? argv[1] : NULL;
    if (!command) {
        filter_start(&filter, &program, argc, argv);
        filter.file[filter.files] = NULL;
        become(filter.file[0], filter.file);
    } else if (strcmp(command, "list") == 0 && argc == 2) {
        ask_all("--purpose");
    } else if (strcmp(command, "list") == 0 && argc == 3 && strcmp(argv[2], "--markdown") == 0) {
        fputs(markdown_title, stdout);
        options_markdown(&program, stdout);
        fflush(stdout);
        ask_all("--markdown");
    } else if (strcmp(command, "help") == 0 && argc == 3) {
        become(argv[2], (char *[]){argv[2], "--help", NULL});
    } else if (strcmp(command, "list") == 0 || strcmp(command, "help") == 0) {
        filter_fail(&filter, "usage: octpipe list, or octpipe help FILTER");
    } else {
        become(command, argv + 1);
    }
    return filter_finish(&filter);
}
