/* An OAuth client as tools show it. */
#pragma once

#include "management-tools/tool_io.h"
#include "store/oauth_clients.h"

void oauth_item_write(struct jout *j, const struct oauth_client_use *u);
