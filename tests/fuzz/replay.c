/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stands in for libFuzzer where there is none: gives every file named on the command line, and every file in every
 * directory named there, to the fuzz target once.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long files;

static int replay_file(const char *path, size_t size)
{
    FILE *f = fopen(path, "rb");
    /* As long as the input exactly, so that a sanitizer sees a read beyond it. */
    uint8_t *data = malloc(size != 0 ? size : 1);
    int status = 0;
    if (f == NULL || data == NULL || fread(data, 1, size, f) != size) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        status = 1;
    } else {
        LLVMFuzzerTestOneInput(data, size);
        files++;
    }
    free(data);
    if (f != NULL)
        fclose(f);
    return status;
}

static int replay(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 1;
    }
    if (!S_ISDIR(st.st_mode))
        return replay_file(path, (size_t)st.st_size);
    DIR *dir = opendir(path);
    int status = dir == NULL;
    for (struct dirent *d = dir != NULL ? readdir(dir) : NULL; d != NULL; d = readdir(dir)) {
        char name[4096];
        if (d->d_name[0] == '.')
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, d->d_name);
        status |= replay(name);
    }
    if (dir != NULL)
        closedir(dir);
    return status;
}

int main(int argc, char **argv)
{
    int status = 0;
    for (int k = 1; k < argc; k++)
        status |= replay(argv[k]);
    printf("%lu inputs\n", files);
    return files == 0 ? 1 : status;
}
