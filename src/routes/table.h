/* EVERY URL of the product, one row each. */
#pragma once

#include "io/router.h"

extern const struct route route_table[];
extern const size_t n_routes;
