// The control plane's identity: a certificate authority per cluster and one certificate per node, made here with libcrypto
// (EC P-256), so that no other tool is needed. Every connection between nodes is TLS with certificates on both sides.
//
//   DIR/ca.pem  ca.key           keys init DIR; ca.key stays with whoever issues
//   DIR/NAME.pem NAME.key        keys issue DIR NAME; a node needs these two and ca.pem
//
// A certificate says "belongs to this cluster": any two certificates of one authority accept each other, whatever their names.
#pragma once

#include <string>

#include "runtime/base/result.h"

namespace baton {

struct KeyFiles {
  std::string certificate;   // PEM
  std::string key;           // PEM, readable by its owner only
  std::string authority;     // PEM
  bool empty() const { return certificate.empty() && key.empty() && authority.empty(); }
};

// Makes `dir` (0700) with a new authority. Errors: io_error, also when there is one already: it is never overwritten.
Status make_authority(const std::string& dir);

// Issues a node's certificate, valid for `days`. Errors: not_found (no authority), invalid_argument (the name), io_error.
Result<KeyFiles> issue_key(const std::string& dir, const std::string& name, int days = 3650);

// What `keys issue` wrote for `name`.
KeyFiles key_files(const std::string& dir, const std::string& name);

// All three are readable, the key belongs to the certificate, the certificate is in date and issued by the authority.
// CAF throws on what this refuses. Errors: not_found, invalid_file, each naming the file and the way out.
Status check_keys(const KeyFiles& files);

// Takes checked files into this process's memory and returns the name to give CAF in place of their paths (actors/openssl_hooks.h):
// it asks for them anew for every connection, and throws should they be gone, or no descriptor be left, by then.
Result<KeyFiles> keep_in_memory(const KeyFiles& files);

}  // namespace baton
