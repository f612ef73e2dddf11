/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaktest/running.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096u

/* Read a file of /proc with a NUL byte at the end. Bytes without that, or negative errno. */
static ssize_t read_file(pid_t pid, const char *name, char out[LINE_MAX_BYTES])
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, LINE_MAX_BYTES - 1);
    int error = errno;
    if (fd >= 0)
        close(fd);
    out[n > 0 ? n : 0] = '\0';
    return n >= 0 ? n : error > 0 ? -error : -EIO;
}

/* The configuration file in the words of a command line `cloister run --config FILE`; NULL: it is another. */
static const char *config_of(const char *line, size_t n)
{
    const char *config = NULL;
    bool run = false;
    for (const char *word = line; word < line + n; word += strlen(word) + 1) {
        const char *next = word + strlen(word) + 1;
        run |= strcmp(word, "run") == 0;
        if (strncmp(word, "--config=", 9) == 0)
            config = word + 9;
        else if ((strcmp(word, "--config") == 0 || strcmp(word, "-c") == 0) && next < line + n)
            config = next;
    }
    return run ? config : NULL;
}

static bool is_here(pid_t pid)
{
    char path[40];
    struct stat here, there;
    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
    return stat("/proc/self/ns/net", &here) == 0 && stat(path, &there) == 0 && here.st_ino == there.st_ino &&
           here.st_dev == there.st_dev;
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

static void find_children(struct running *r)
{
    char name[48], children[LINE_MAX_BYTES], line[LINE_MAX_BYTES];
    snprintf(name, sizeof(name), "task/%d/children", (int)r->supervisor);
    if (read_file(r->supervisor, name, children) <= 0)
        return;
    for (char *save = NULL, *word = strtok_r(children, " ", &save); word != NULL;
         word = strtok_r(NULL, " ", &save)) {
        pid_t pid = (pid_t)strtol(word, NULL, 10);
        ssize_t n = read_file(pid, "cmdline", line);
        for (ssize_t at = 0; at < n; at += (ssize_t)strlen(line + at) + 1) {
            if (strcmp(line + at, "--role=gateway") == 0)
                r->gateway = pid;
            else if (strcmp(line + at, "--role=tor") == 0)
                r->tor = pid;
            else if (strcmp(line + at, "--role=keeper") == 0)
                r->keeper = pid;
        }
    }
}

/* Is this process such a supervisor? */
static bool look(struct running *r, pid_t pid, const char *wanted)
{
    char line[LINE_MAX_BYTES] = "";
    ssize_t n = read_file(pid, "cmdline", line);
    const char *config = n > 0 ? config_of(line, (size_t)n) : NULL;
    if (config == NULL || !is_here(pid))
        return false;
    *r = (struct running){.supervisor = pid};
    int length = config[0] == '/' ? snprintf(r->config, sizeof(r->config), "%s", config)
                                  : snprintf(r->config, sizeof(r->config), "/proc/%d/cwd/%s", (int)pid, config);
    if (length < 0 || (size_t)length >= sizeof(r->config))
        return false;
    if (wanted != NULL && !is_same_file(r->config, wanted))
        return false;
    find_children(r);
    return r->gateway > 0; /* and not, say, a shell that waits for one */
}

int running_find(struct running *r, const char *config)
{
    struct running candidate;
    unsigned found = 0;
    DIR *proc = opendir("/proc");
    if (proc == NULL)
        return -errno;
    for (struct dirent *entry; (entry = readdir(proc)) != NULL;) {
        if (isdigit((unsigned char)entry->d_name[0]) &&
            look(&candidate, (pid_t)strtol(entry->d_name, NULL, 10), config)) {
            *r = candidate;
            found++;
        }
    }
    closedir(proc);
    return found == 1 ? 0 : found == 0 ? -ESRCH : -ENOTUNIQ;
}
