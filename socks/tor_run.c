/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs the Tor that is linked in. In a file of its own, so that what only builds command lines does not link it.
 *
 * tor_main_configuration_free() is not called: Tor closes the control descriptor itself, and freeing would close
 * the number a second time, whatever it names by then. Nor is tor_main_configuration_setup_control_socket() used:
 * it makes the socket pair inside this process, and ours comes from the supervisor.
 */
#include "socks/tor_process.h"

#include <errno.h>
#include <fcntl.h>
#include <tor_api.h>
#include <unistd.h>

/* An empty standard input, which is the torrc if there is no other. */
static int empty_input(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = 0;
    if (fd != STDIN_FILENO) {
        if (dup2(fd, STDIN_FILENO) < 0)
            err = -errno;
        close(fd);
    }
    return err;
}

int tor_process_run(const struct tor_process_config *config)
{
    static struct tor_arguments arguments; /* Tor keeps pointers to it */
    int err = tor_process_arguments(config, &arguments);
    if (err == 0)
        err = empty_input();
    if (err != 0)
        return err;
    tor_main_configuration_t *tor = tor_main_configuration_new();
    if (tor == NULL)
        return -ENOMEM;
    if (tor_main_configuration_set_command_line(tor, arguments.count, arguments.argv) < 0)
        return -EINVAL;
    return tor_run_main(tor);
}
