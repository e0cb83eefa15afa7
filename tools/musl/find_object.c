/* What GCC's unwinder asks glibc, for a program without glibc: where the table of frames is that covers an address. */
#define _GNU_SOURCE
#include <link.h>

/* As glibc 2.35 declares it in dlfcn.h. */
struct dl_find_object {
    unsigned long long flags;
    void *map_start, *map_end;
    struct link_map *link_map;
    void *eh_frame;
    unsigned long long reserved[7];
};

struct question {
    ElfW(Addr) address;
    struct dl_find_object *answer;
};

static int look(struct dl_phdr_info *object, size_t size, void *data) {
    struct question *question = data;
    void *frames = 0;
    int is_here = 0;
    (void)size;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        ElfW(Addr) start = object->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_GNU_EH_FRAME)
            frames = (void *)start;
        if (part->p_type == PT_LOAD && question->address - start < part->p_memsz) {
            question->answer->map_start = (void *)start;
            question->answer->map_end = (void *)(start + part->p_memsz);
            is_here = 1;
        }
    }
    question->answer->eh_frame = frames;
    return is_here && frames;
}

int _dl_find_object(void *address, struct dl_find_object *answer) {
    struct question question = {(ElfW(Addr))address, answer};
    answer->flags = 0;
    answer->link_map = 0;
    return dl_iterate_phdr(look, &question) ? 0 : -1;
}
