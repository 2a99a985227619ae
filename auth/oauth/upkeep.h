/* What is done without being asked, at the start and every hour: signing keys older than 90 days
 * get successors, clients that nobody uses go, proven domains whose turn it is are looked at again.
 */
#pragma once

#include "core/services.h"

/* Starts the fiber (sv->upkeep), which ends when it is cancelled. */
bool upkeep_start(struct services *sv, struct err *e) must_use;
