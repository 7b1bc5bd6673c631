#include "actors/openssl_hooks.h"

#include <dlfcn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <map>
#include <memory>
#include <mutex>

#include "runtime/base/check.h"

namespace baton {
namespace {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* x) const { Free(x); }
};
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO_free>>;

struct Identity {
  Certificate certificate;
  std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>> key;
  Certificate authority;
};

struct Held {
  std::mutex mutex;
  std::map<std::string, Identity> by_name;   // nothing is ever taken out
};
Held& held() {
  static Held all;
  return all;
}

const Identity* find(const char* name) {
  if (name == nullptr) return nullptr;
  const std::lock_guard lock{held().mutex};
  const auto place = held().by_name.find(name);
  return place == held().by_name.end() ? nullptr : &place->second;
}

Bio reader(const std::string& pem) { return Bio{BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))}; }

template <class Function>
Function* library(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

std::string hold_identity(const std::string& certificate, const std::string& key, const std::string& authority) {
  Identity identity;
  identity.certificate.reset(PEM_read_bio_X509(reader(certificate).get(), nullptr, nullptr, nullptr));
  identity.key.reset(PEM_read_bio_PrivateKey(reader(key).get(), nullptr, nullptr, nullptr));
  identity.authority.reset(PEM_read_bio_X509(reader(authority).get(), nullptr, nullptr, nullptr));
  CHECK(identity.certificate && identity.key && identity.authority, "keys that were not checked");
  const std::lock_guard lock{held().mutex};
  const std::string name = "held identity " + std::to_string(held().by_name.size());
  held().by_name.emplace(name, std::move(identity));
  return name;
}

bool openssl_calls_come_here() {
  const std::pair<const char*, void*> all[] = {
      {"SSL_get_error", reinterpret_cast<void*>(&SSL_get_error)},
      {"SSL_CTX_use_certificate_chain_file", reinterpret_cast<void*>(&SSL_CTX_use_certificate_chain_file)},
      {"SSL_CTX_use_PrivateKey_file", reinterpret_cast<void*>(&SSL_CTX_use_PrivateKey_file)},
      {"SSL_CTX_load_verify_locations", reinterpret_cast<void*>(&SSL_CTX_load_verify_locations)}};
  for (const auto& [name, ours] : all) {
    if (::dlsym(RTLD_DEFAULT, name) != ours || ::dlsym(RTLD_NEXT, name) == nullptr) return false;
  }
  return true;
}

}  // namespace baton

extern "C" int SSL_get_error(const SSL* ssl, int result) {
  static const auto theirs = baton::library<decltype(SSL_get_error)>("SSL_get_error");
  const int error = theirs(ssl, result);
  ERR_clear_error();
  return error;
}

extern "C" int SSL_CTX_use_certificate_chain_file(SSL_CTX* context, const char* file) {
  static const auto theirs = baton::library<decltype(SSL_CTX_use_certificate_chain_file)>("SSL_CTX_use_certificate_chain_file");
  const baton::Identity* identity = baton::find(file);
  return identity == nullptr ? theirs(context, file) : SSL_CTX_use_certificate(context, identity->certificate.get());
}

extern "C" int SSL_CTX_use_PrivateKey_file(SSL_CTX* context, const char* file, int type) {
  static const auto theirs = baton::library<decltype(SSL_CTX_use_PrivateKey_file)>("SSL_CTX_use_PrivateKey_file");
  const baton::Identity* identity = baton::find(file);
  return identity == nullptr ? theirs(context, file, type) : SSL_CTX_use_PrivateKey(context, identity->key.get());
}

extern "C" int SSL_CTX_load_verify_locations(SSL_CTX* context, const char* file, const char* folder) {
  static const auto theirs = baton::library<decltype(SSL_CTX_load_verify_locations)>("SSL_CTX_load_verify_locations");
  const baton::Identity* identity = baton::find(file);
  if (identity == nullptr) return theirs(context, file, folder);
  return X509_STORE_add_cert(SSL_CTX_get_cert_store(context), identity->authority.get());
}
