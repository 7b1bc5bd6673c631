// OpenSSL keeps failures in a queue per thread, and SSL_get_error() reads it: what failed on one connection makes the next wait of
// any other connection on that thread look like a failure, unless the queue was emptied between. CAF 0.17.6 runs all connections
// on one thread and empties nothing, so that every peer's end took down a healthy link with it (with OpenSSL 3, where an end
// without close_notify is such a failure). openssl_errors.cc therefore defines SSL_get_error() for this program: the library's, then
// empties the queue.
#pragma once

namespace baton {

// False when shared libraries do not see this program's SSL_get_error(), for the way it was linked.
bool openssl_errors_are_kept_apart();

}  // namespace baton
