/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The smallest user of tor_api.h: says which Tor was linked in, as `tor --version` does.
 * cmake/tor.cmake runs it on every libtor it built, before anything else may link it.
 */
#include <stddef.h>
#include <tor_api.h>

int main(void)
{
    char name[] = "tor", flag[] = "--version";
    char *argv[] = {name, flag, NULL};
    tor_main_configuration_t *configuration = tor_main_configuration_new();
    int status = 1;

    if (configuration && tor_main_configuration_set_command_line(configuration, 2, argv) == 0)
        status = tor_run_main(configuration);
    tor_main_configuration_free(configuration);
    return status;
}
