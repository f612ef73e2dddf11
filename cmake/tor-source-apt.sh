#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# usage: tor-source-apt.sh DIRECTORY
#
# Puts upstream's tarball of the distribution's tor source package into DIRECTORY and prints its
# path. apt checks it: the archive's signature covers the index, the index covers the tarball.
#
# Most machines have only binary packages in their sources ("deb"). So apt is given a configuration
# of its own: the same archives and the same keys, proxies and credentials, read as "deb-src", with
# lists and caches in a directory that goes away again. Nothing of the user's is written. Root is
# not needed.
#
# The distribution's own changes (.diff.gz, .debian.tar.xz) are not applied: they concern packaging,
# and what is embedded should be upstream's release.

set -eu
directory=$1
mkdir -p "$directory"

work=$(mktemp -d "${TMPDIR:-/tmp}/tor-source.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$work/parts" "$work/lists/partial" "$work/cache/archives/partial" "$work/download"
# As root, apt downloads as user _apt, who must be able to write there.
if [ "$(id -u)" = 0 ] && id _apt >/dev/null 2>&1; then
    chmod 755 "$work"
    chown _apt "$work/download" "$work/lists/partial" "$work/cache/archives/partial"
fi

etc=/etc/apt
eval "$(apt-config shell etc Dir::Etc/d list Dir::Etc::sourcelist/f parts Dir::Etc::sourceparts/d)"
: "${list:=$etc/sources.list}" "${parts:=$etc/sources.list.d}"

# One line per archive: "deb [options] uri suite component...".
one_line() {
    sed -n -E '/^[[:space:]]*deb[[:space:]]/ { /cdrom:/d; s/^[[:space:]]*deb/deb-src/; p; }' "$1"
}

# deb822: stanzas of fields. Those for binary packages, and not switched off, become "deb-src".
stanzas() {
    awk '
        function flush() {
            if (binary && !off) printf "%s\n", text
            text = ""; binary = off = 0
        }
        /^[[:space:]]*$/ { flush(); next }
        /^#/ { next }
        {
            field = tolower($0)
            if (field ~ /^types:/) {
                binary = field ~ /[: \t]deb([ \t]|$)/
                $0 = "Types: deb-src"
            } else if (field ~ /^enabled:[ \t]*(no|false|0|off)[ \t]*$/) {
                off = 1
            }
            text = text $0 "\n"
        }
        END { flush() }' "$1"
}

n=0
for file in "$list" "${parts%/}"/*.list "${parts%/}"/*.sources; do
    [ -r "$file" ] || continue
    n=$((n + 1))
    case $file in
    *.sources) stanzas "$file" >"$work/parts/$n.sources" ;;
    *) one_line "$file" >"$work/parts/$n.list" ;;
    esac
done
find "$work/parts" -type f -size 0 -exec rm {} +

# Read after the user's configuration, so hooks meant for the real lists can be cleared here.
cat >"$work/apt.conf" <<END
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::State::lists "$work/lists";
Dir::Cache "$work/cache";
Dir::Cache::archives "archives/";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$work/parts";
Acquire::Languages "none";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::Retries "2";
END

# One archive of several may have no sources or be away; what counts is whether tor is found.
apt-get -q -c "$work/apt.conf" update >&2 || true
cd "$work/download"
apt-get -q -c "$work/apt.conf" source --only-source --download-only tor >&2

tarball=
for file in tor_*.orig.tar.*; do
    case $file in
    *.asc) ;;
    *) [ -f "$file" ] && tarball=$file ;;
    esac
done
if [ -z "$tarball" ]; then
    echo "the source package holds no upstream tarball" >&2
    exit 1
fi
# Copied beside its place first, then renamed: a half-written tarball never has the name.
cp "$tarball" "$directory/$tarball.part"
mv "$directory/$tarball.part" "$directory/$tarball"
echo "$directory/$tarball"
