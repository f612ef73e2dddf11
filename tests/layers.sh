#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# tests/layers.sh [TREE]: checks that each folder includes only what its layer may know, and that what is to be free of
# I/O includes no header that does any. Says each breach as FILE:LINE and exits 1 if there is one.

set -eu
tree=${1:-$(dirname -- "$0")/..}
cd -- "$tree"

# Headers of the C library that do nothing: types, limits, memory. sys/types.h and sys/uio.h give names to types.
pure='assert.h ctype.h endian.h errno.h inttypes.h limits.h stdalign.h stdbool.h stddef.h stdint.h stdlib.h string.h
    sys/types.h sys/uio.h'

# check FOLDER 'LAYERS' [SYSTEM HEADERS]: FOLDER may include "LAYER/..." and, if given, no other <...> than those.
check() {
    [ -d "$1" ] || return 0
    # shellcheck disable=SC2016 # the dollars are awk's
    find "$1" -name '*.[ch]' | sort | xargs -r awk -v layers="$2" -v headers="${3-}" '
        BEGIN {
            split(layers, l); for (i in l) may[l[i]] = 1
            any = split(headers, s) == 0; for (i in s) pure[s[i]] = 1
        }
        /^[ \t]*#[ \t]*include/ {
            name = $0
            sub(/^[ \t]*#[ \t]*include[ \t]*/, "", name)
            quoted = substr(name, 1, 1) == "\""
            sub(/^["<]/, "", name); sub(/[">].*/, "", name)
            layer = name; sub(/\/.*/, "", layer)
            if (quoted ? !(layer in may) : !any && !(name in pure)) {
                print FILENAME ":" FNR ": may not include " (quoted ? "\"" name "\"" : "<" name ">")
                bad = 1
            }
        }
        END { exit bad }' || breached=1
}

breached=0
check core/base 'base' "$pure"
check core/tcp 'base tcp' "$pure"
# SHA3 of onion addresses is libcrypto's.
check dns 'base dns' "$pure openssl/crypto.h openssl/evp.h"
check tun 'base tcp tun'
check socks 'base tcp socks'
check core/leaktest 'base tun leaktest'
check core/daemon 'base tcp tun socks dns leaktest daemon'
exit "$breached"
