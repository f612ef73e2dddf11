/* SPDX-License-Identifier: BSD-3-Clause */
/* Have the kernel merge frames of one flow that are written one after the other. For the supervisor. */
#ifndef CLOISTER_TUN_GATHER_H
#define CLOISTER_TUN_GATHER_H

/* Let what is written to the interface `name`, made with IFF_NAPI in the network namespace of the caller, wait for what
 * follows it (gro_flush_timeout). Needs CAP_SYS_ADMIN. 0, or negative errno: -ENOSYS before Linux 5.2, -EPERM. */
int gather_begin(const char *name);

#endif
