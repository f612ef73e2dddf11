/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keep the host's own stack away from a TAP that stands alone in the namespace in which the host has its uplink, until
 * somebody moves it or puts it into a bridge. bridge_wall_build_behind() is the other half. The essay is in alone.c.
 */
#ifndef CLOISTER_TUN_ALONE_H
#define CLOISTER_TUN_ALONE_H

/* Set the device up so, before it is up itself. *step says what failed. 0 or negative errno. */
int alone_set_up(const char *device, const char **step);

#endif
