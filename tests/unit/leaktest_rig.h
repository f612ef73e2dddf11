/* SPDX-License-Identifier: BSD-3-Clause */
/* Ground to stand on, for the tests of the leak test. */
#ifndef CLOISTER_TESTS_LEAKTEST_RIG_H
#define CLOISTER_TESTS_LEAKTEST_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leaktest/matrix.h"

static const struct ground rig_ground = {
    .gateway_mac = {2, 0, 0, 0, 0, 1},
    .mine = {2, 0, 0, 0, 0, 2},
    .others = {{"the bridge", {2, 0, 0, 0, 0, 3}}},
    .other_count = 1,
    .network = {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 152, 152, 10}}, 96 + 18},
    .network6 = {{{0xfd, 0x19, 0xc3, 0x3d, 0x88, 0xbc, [15] = 0x10}}, 64},
    .me = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 152, 152, 77}},
    .me6 = {{0xfd, 0x19, 0xc3, 0x3d, 0x88, 0xbc, [15] = 0x77}},
    .neighbour = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 152, 152, 12}},
    .virtual = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 192, 0, 1}},
    .internet = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 51, 100, 7}},
    .internet6 = {{0x20, 1, 0xd, 0xb8, [15] = 7}},
    .resolver = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 53}},
    .host = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 5}},
    .router = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 1}},
    .relay = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 99}},
    .relay_port = 9001,
    .tor_port = 40000,
    .first_port = 20000,
};

#endif
