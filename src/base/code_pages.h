/* code_pages.h - code and constants that only the start needed, given back to the kernel.
 *
 * Dynamic linking, reading options and opening the database run through code that serving never
 * comes to again, and the kernel maps sixteen pages around each that is touched. They stay mapped
 * for good, although they are the files' and not the program's.
 *
 * Uses: libc. Used by: serving. Thread: any, beside any other: what is needed comes back by itself,
 * page by page, from the kernel's cache of files.
 */
#ifndef MIGCHAT_BASE_CODE_PAGES_H
#define MIGCHAT_BASE_CODE_PAGES_H

/* Unmaps the pages of all mapped program files that cannot be written (madvise(2), MADV_DONTNEED);
 * those that can hold what the program wrote are left alone. Where the kernel refuses, pages stay:
 * nothing depends on it. */
void code_pages_release(void);

#endif
