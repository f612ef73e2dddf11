/* SPDX-License-Identifier: BSD-3-Clause */
/* A replay through a TUN or TAP device, whose other end any gateway may hold, in real time. */
#ifndef CLOISTER_BENCH_WIRE_H
#define CLOISTER_BENCH_WIRE_H

#include "replay/options.h"
#include "replay/script.h"

/* Play, and print what it took. Ends the program if anything comes out other than the capture has it. */
void wire_replay(const struct capture *capture, const struct replay_options *options);

#endif
