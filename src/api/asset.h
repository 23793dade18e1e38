/* asset.h - files that are part of the binary, made ready at build (deps/cmake/embed_assets).
 *
 * Uses:    base/str.
 * Used by: api/docs.c, the generated assets.c.
 * Thread:  any; all is constant.
 */
#ifndef MIGCHAT_API_ASSET_H
#define MIGCHAT_API_ASSET_H

#include "base/str.h"

/* One form of a file; two forms are two representations, so each has a tag of its own. */
struct asset_form {
    struct str bytes;
    struct str tag; /* a strong entity-tag, with its quotes */
};

struct asset {
    struct asset_form plain;
    struct asset_form gzip;
    struct str policy; /* Content-Security-Policy of an HTML page; ptr NULL for others */
};

extern const struct asset asset_openapi; /* the contract: src/api/openapi.json as it is */
extern const struct asset asset_docs;    /* the page that src/api/render_docs.py makes of it */

#endif
