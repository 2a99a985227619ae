/* For whoever starts Tulle on a machine without a browser: the tunnel that brings it to theirs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* What the environment tells, each NULL when unset. */
struct remote_place {
    const char *ssh_connection;   /* "CLIENT PORT SERVER PORT", as sshd sets it */
    const char *display;          /* DISPLAY or WAYLAND_DISPLAY: there is a screen here */
    const char *user, *host_name; /* who one signs in as, and this machine's name */
};

/* Reads SSH_CONNECTION, DISPLAY, WAYLAND_DISPLAY, SUDO_USER, LOGNAME and the host's name; host_name
 * points into host[]. */
void remote_place_read(struct remote_place *out, char *host, size_t host_size);
/*
 * "ssh -L 3000:localhost:3000 ada@192.0.2.7" for a program that listens on loopback, shown under
 * public_port. False: there is a screen here and nobody came by ssh, or nothing is known to sign in
 * to.
 */
bool remote_hint_write(const struct remote_place *place, int public_port, int port, char *out,
                       size_t out_size);
