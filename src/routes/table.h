/* EVERY URL of the product, one row each. */
#pragma once

#include "io/router.h"

/* All of them, ready to be searched. */
const struct router *table_router(void);
