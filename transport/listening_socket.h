// The sockets that a library keeps to itself, found among this process's descriptors by their own address. UCX (1.13 to 1.17 at least)
// must not be told to stop listening while a connection that it accepted has not yet sent its first bytes: it then reads the listener
// that it has freed. So the end is prepared here: nobody new is let in, and who was let in is waited for.
//
// Thread: any; nothing is kept.
#pragma once

#include "transport/socket_address.h"

namespace baton::transport {

// Whoever connects from now on is not answered, until the socket is closed; then refused. Nothing, if there is no such socket.
void admit_nobody(const SocketAddress& listening);

// Is there a connection that was accepted at this address and is still open here?
bool has_connections(const SocketAddress& listening);

}  // namespace baton::transport
