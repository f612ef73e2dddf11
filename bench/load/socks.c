/* SPDX-License-Identifier: BSD-3-Clause */
#include "socks.h"

#include <string.h>

/* Length of the message at the beginning of `p`, 0 if more is needed to know. */
static size_t message_length(unsigned step, const uint8_t *p, size_t n)
{
    if (n < 5)
        return n >= 2 && step == 0 ? 2u + p[1] : 0;
    if (step == 0)
        return 2u + p[1];
    if (step == 1)
        return n < 2u + p[1] + 1u ? 0 : 3u + p[1] + p[2 + p[1]];
    return p[3] == 1 ? 10 : p[3] == 4 ? 22 : 7u + p[4];
}

static void answer(struct socks_turn *turn, const uint8_t *bytes, size_t n)
{
    memcpy(turn->answer + turn->answered, bytes, n);
    turn->answered += n;
}

struct socks_turn socks_listen(unsigned *step, const uint8_t *data, size_t n)
{
    struct socks_turn turn = {.to.sin_family = AF_INET};
    size_t length;
    while (!turn.over && (length = message_length(*step, data + turn.taken, n - turn.taken)) > 0 &&
           length <= n - turn.taken) {
        const uint8_t *message = data + turn.taken;
        turn.taken += length;
        if (*step == 0) {
            bool credentials = memchr(message + 2, 2, message[1]) != NULL;
            answer(&turn, (uint8_t[]){5, credentials ? 2 : 0}, 2);
            *step = credentials ? 1 : 2;
        } else if (*step == 1) {
            answer(&turn, (uint8_t[]){1, 0}, 2);
            *step = 2;
        } else {
            answer(&turn, (uint8_t[]){5, 0, 0, 1, 0, 0, 0, 0, 0, 0}, 10);
            if (message[3] == 1)
                memcpy(&turn.to.sin_addr, message + 4, 4);
            memcpy(&turn.to.sin_port, message + length - 2, 2);
            turn.over = true;
        }
    }
    return turn;
}
