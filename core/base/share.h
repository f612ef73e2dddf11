/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much of something that is limited one workstation may take, so that whoever comes later finds some left.
 *
 * A fixed share is no protection against somebody who is several: two with three quarters each have it all. So what one
 * may have shrinks as less is left: three times that. One who is alone gets three quarters, and who comes next three
 * quarters of the rest. As what the first had is given back they draw level: n of them come to 3/(3n + 1) each, and a
 * third of that stays free for one more. Nothing is counted but what is used.
 */
#ifndef CLOISTER_BASE_SHARE_H
#define CLOISTER_BASE_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#define SHARE_OF_FREE 3u /* times what is free */

/* True if somebody who has `own` of the `used` of `whole` may have one more. */
static inline bool share_has_room(uint32_t own, uint32_t used, uint32_t whole)
{
    return used < whole && own < (uint64_t)SHARE_OF_FREE * (whole - used);
}

#endif
