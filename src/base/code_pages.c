/* code_pages.c - one madvise for each read-only segment of the program and its libraries. */
#include "base/code_pages.h"

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static int object_release(struct dl_phdr_info *object, size_t size, void *page_bytes);
static bool object_was_patched(const struct dl_phdr_info *object);

void code_pages_release(void)
{
    uintptr_t page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);

    (void)dl_iterate_phdr(object_release, &page_bytes);
}

/* Whole pages only: where a linker lets two segments meet within a page, it may be the other's. */
static int object_release(struct dl_phdr_info *object, size_t size, void *page_bytes)
{
    uintptr_t mask = *(const uintptr_t *)page_bytes - 1;

    (void)size;
    if (object_was_patched(object)) {
        return 0;
    }
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uintptr_t begin = (object->dlpi_addr + segment->p_vaddr + mask) & ~mask;
        uintptr_t end = (object->dlpi_addr + segment->p_vaddr + segment->p_memsz) & ~mask;

        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_W) == 0 && begin < end) {
            (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
        }
    }
    return 0;
}

/* Code that is not independent of its place (DT_TEXTREL, ELF gABI ch. 5) was written to when it was
 * loaded, and the file does not have what was written. */
static bool object_was_patched(const struct dl_phdr_info *object)
{
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        if (object->dlpi_phdr[i].p_type != PT_DYNAMIC) {
            continue;
        }
        const ElfW(Dyn) *entry =
            (const void *)(uintptr_t)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);

        for (; entry->d_tag != DT_NULL; entry++) {
            if (entry->d_tag == DT_TEXTREL ||
                (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL) != 0)) {
                return true;
            }
        }
    }
    return false;
}
