/* list.h - intrusive doubly linked list, and container_of.
 *
 * Uses: libc. Used by: net, http. Thread: the owner's.
 * Memory: a node is embedded in what it links; the list owns nothing.
 */
#ifndef MIGCHAT_BASE_LIST_H
#define MIGCHAT_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* The struct that embeds `member` at `ptr`. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

/* As a head: next is the first, prev the last; both itself when empty. As a node: its neighbours;
 * both NULL while in no list. */
struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *head)
{
    head->next = head;
    head->prev = head;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

static inline bool list_is_linked(const struct list *node)
{
    return node->next != NULL;
}

static inline void list_append(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/* Unlinks; does nothing to a node in no list. */
static inline void list_remove(struct list *node)
{
    if (node->next == NULL) {
        return;
    }
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = NULL;
    node->prev = NULL;
}

/* Unlinks and returns the first node, NULL when empty. */
static inline struct list *list_take_first(struct list *head)
{
    struct list *node = head->next;

    if (node == head) {
        return NULL;
    }
    list_remove(node);
    return node;
}

/* Moves everything of `from` to the end of `to`. */
static inline void list_append_all(struct list *to, struct list *from)
{
    if (list_is_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    from->prev->next = to;
    to->prev->next = from->next;
    to->prev = from->prev;
    list_init(from);
}

#endif
