/* SPDX-License-Identifier: BSD-3-Clause */
#include "socks/tors.h"

#include <errno.h>

#include "socks/directory.h"

int socks_tors_add(struct socks_tors *tors, const char *path)
{
    if (tors->count == SOCKS_TORS_MAX)
        return -ENOSPC;
    int err = socks_path_address(path, &tors->address[tors->count]);
    tors->count += err == 0;
    return err;
}

uint32_t socks_tors_number(uint32_t count, uint32_t hash)
{
    return (uint32_t)((uint64_t)hash * count >> 32);
}

const struct sockaddr_un *socks_tors_of(const struct socks_tors *tors, uint32_t hash)
{
    return &tors->address[socks_tors_number(tors->count, hash)];
}
