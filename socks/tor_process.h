/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The embedded Tor: its command line, and the process role that runs it.
 *
 * What the command line says wins over the user's torrc: Tor listens on one pathname socket and nowhere else, has
 * no control port but the descriptor it was born with, and serves nobody as a relay.
 */
#ifndef CLOISTER_SOCKS_TOR_PROCESS_H
#define CLOISTER_SOCKS_TOR_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An option beside those of the torrc: it adds to what is said there. */
struct tor_process_option {
    const char *name;
    const char *value;
};

struct tor_process_config {
    const char *data;  /* data directory, absolute; belongs to the user that runs Tor, mode 0700 */
    const char *socks; /* pathname of the SOCKS socket, absolute, in a directory made by
                                 socks_directory_prepare() */
    const char *torrc; /* the user's extra lines, absolute; NULL: none */
    int control_fd;    /* one end of a stream socket pair, inherited; Tor takes it as a control connection that
                                 needs no authentication, and ends when the other end is closed. -1: none */
    const char
        *geoip; /* file that says which IPv4 address is in which country, absolute; NULL: the torrc's, or where Tor
                          looks itself */
    const char *geoip6; /* the same of IPv6 addresses */
    bool group;         /* the socket is for the directory's group too (GroupWritable) */
    bool sandbox; /* let Tor filter its own system calls; not with a torrc that starts transports (socks/torrc.h) */
    const struct tor_process_option *more; /* further options, in this order */
    uint32_t more_count;
    bool further;  /* there is a Tor already that has the control listeners and onion services of this torrc */
    bool disabled; /* begin with DisableNetwork 1; the supervisor turns it off over the control connection */
};

#define TOR_ARGUMENTS_MAX 256u

/* A command line. Pointers point into `text` and to constants. */
struct tor_arguments {
    int count;
    char *argv[TOR_ARGUMENTS_MAX + 1]; /* NULL-terminated; argv[0] is "tor" */
    size_t used;                       /* bytes of `text` */
    char text[32768];
};

/* Build the command line. 0; -EINVAL if a path is relative or holds a quote, a backslash or a control character; or
 * -ENAMETOOLONG if it does not fit. */
int tor_process_arguments(const struct tor_process_config *config, struct tor_arguments *out);

/* Run Tor until it ends. Called in a process of its own, once, after all privileges are given up: Tor may call
 * exit(), and leaves threads and signal handlers behind. Returns Tor's exit status, or negative errno if it did not
 * start. */
int tor_process_run(const struct tor_process_config *config);

#endif
