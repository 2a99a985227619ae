/* Who listens on a port of this machine, for the message that it is taken. */
#pragma once

#include <stddef.h>

/* Writes "NAME (pid N)" when /proc tells (own processes, or any as root), else "another program".
 */
void port_owner_describe(int port, char *out, size_t out_size);
