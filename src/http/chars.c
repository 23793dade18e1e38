/* chars.c - the table, a row for every 16 characters of ASCII; bytes above are of no class.
 *
 * The characters [ ] ^ ` { | } stand in no URI by RFC 3986, but the URL parsers of browsers and of
 * the published command-line client (WHATWG URL) send them as they are, and names may contain
 * them. They mean nothing here, so they are taken.
 */
#include "http/chars.h"

#define IN_PATH (CHAR_VISIBLE | CHAR_PATH | CHAR_QUERY)

#define A (IN_PATH | CHAR_TOKEN | CHAR_HOST | CHAR_ALPHANUMERIC)
#define B (IN_PATH | CHAR_TOKEN | CHAR_HOST) /* unreserved or sub-delim, and tchar */
#define D (IN_PATH | CHAR_HOST)              /* sub-delim only */
#define O (IN_PATH | CHAR_TOKEN)
#define P IN_PATH
#define Q (CHAR_VISIBLE | CHAR_QUERY)
#define T (CHAR_VISIBLE | CHAR_TOKEN)
#define V CHAR_VISIBLE

const uint8_t char_classes[UINT8_MAX + 1] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* controls */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* controls */
    0, B, V, T, B, T, B, B, D, D, B, B, P, B, B, P, /* space ! " # $ % & ' ( ) * + , - . / */
    A, A, A, A, A, A, A, A, A, A, P, D, V, D, V, Q, /* digits : ; < = > ? */
    P, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, /* @ A to O */
    A, A, A, A, A, A, A, A, A, A, A, P, V, P, O, B, /* P to Z [ \ ] ^ _ */
    O, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, /* ` a to o */
    A, A, A, A, A, A, A, A, A, A, A, P, O, P, B, 0, /* p to z { | } ~ DEL */
};
