/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/trim.h"

#include <link.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Objects that are not position-independent have relocations in their text, too. */
static bool has_text_relocations(const struct dl_phdr_info *info)
{
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_DYNAMIC)
            continue;
        const ElfW(Dyn) *entry = (const void *)(info->dlpi_addr + segment->p_vaddr);
        for (; entry->d_tag != DT_NULL; entry++)
            if (entry->d_tag == DT_TEXTREL || (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL) != 0))
                return true;
    }
    return false;
}

/* Only segments that nobody can have written to: of a writable one, relocations would be lost. */
static int drop_segments(struct dl_phdr_info *info, size_t size, void *ctx)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    (void)size;
    (void)ctx;
    if (has_text_relocations(info))
        return 0;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) != 0)
            continue;
        uintptr_t from = (info->dlpi_addr + segment->p_vaddr + page - 1) & ~(page - 1);
        uintptr_t to = (info->dlpi_addr + segment->p_vaddr + segment->p_filesz) & ~(page - 1);
        if (from < to)
            madvise((void *)from, to - from, MADV_DONTNEED);
    }
    return 0;
}

void trim_process(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    dl_iterate_phdr(drop_segments, NULL);
}
