// Functions of OpenSSL that this program defines itself, because of how CAF 0.17.6 uses the library's. Each calls the library's own.
//
// SSL_get_error() reads a queue of failures that OpenSSL keeps per thread: what failed on one connection makes the next wait of any
// other connection on that thread look like a failure, unless the queue was emptied between. CAF runs all connections on one thread
// and empties nothing, so that every peer's end took down a healthy link with it (with OpenSSL 3, where an end without close_notify
// is such a failure). Ours empties the queue.
//
// SSL_CTX_use_certificate_chain_file(), SSL_CTX_use_PrivateKey_file() and SSL_CTX_load_verify_locations() are called by CAF for every
// connection, and it throws when a file cannot be opened: a peer that uses up this process's descriptors would end it. Ours know
// the names that hold_identity() gives, and open nothing for them.
//
// Thread: any.
#pragma once

#include <string>

namespace baton {

// PEM texts, checked before (check_keys). Kept as long as the process. Returns the name to give in place of each file's path.
std::string hold_identity(const std::string& certificate, const std::string& key, const std::string& authority);

// False when shared libraries do not see this program's functions, for the way it was linked.
bool openssl_calls_come_here();

}  // namespace baton
