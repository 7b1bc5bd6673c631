#include "actors/openssl_errors.h"

#include <dlfcn.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

extern "C" int SSL_get_error(const SSL* ssl, int result) {
  using Function = int (*)(const SSL*, int);
  static const auto library = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "SSL_get_error"));
  const int error = library(ssl, result);
  ERR_clear_error();
  return error;
}

namespace baton {

bool openssl_errors_are_kept_apart() {
  return ::dlsym(RTLD_DEFAULT, "SSL_get_error") == reinterpret_cast<void*>(&SSL_get_error) &&
         ::dlsym(RTLD_NEXT, "SSL_get_error") != nullptr;
}

}  // namespace baton
