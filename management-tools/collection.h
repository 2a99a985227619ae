/*
 * Connections in the shape of MCP Mesh's collections: title for name, connection_type for transport
 * and so on. What Mesh has and Tulle has not (app_name, app_id, configuration_scopes, the public
 * part of oauth_config) is kept in the member "mesh" of metadata, which items do not show there.
 */
#pragma once

#include "json/jout.h"
#include "management-tools/registry.h"
#include "store/connections.h"

/* The members of "mesh", in the order in which they are written. */
enum collection_note { NOTE_APP_NAME, NOTE_APP_ID, NOTE_SCOPES, NOTE_OAUTH, N_NOTES };
extern const char *const collection_notes[N_NOTES];
#define COLLECTION_MESH STR("mesh")

/* One item. Secrets are null. ERR_INTERNAL: stored metadata that is not JSON. */
bool collection_item_write(struct jout *j, const struct connection *conn, struct err *e) must_use;

/*
 * The arguments of CONNECTION_CREATE (before NULL) or CONNECTION_UPDATE that `data` stands for.
 * They may hold secrets: the caller wipes `out`. ERR_INVALID, ERR_UNPROCESSABLE: what Tulle has no
 * place for.
 */
bool collection_data_read(struct tool_call *c, const struct jvalue *data,
                          const struct connection *before, struct buf *out, struct err *e) must_use;
/* Says "arguments.data.title" where the twin said "arguments.name". */
void collection_data_rename(struct err *e);
