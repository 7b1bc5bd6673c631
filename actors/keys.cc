#include "actors/keys.h"

#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "actors/openssl_hooks.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* x) const { Free(x); }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using Store = std::unique_ptr<X509_STORE, Freer<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Freer<X509_STORE_CTX_free>>;

constexpr int kAuthorityDays = 3650;

Error failed(ErrorCode code, std::string message) { return Error{code, Scope::instance, std::move(message)}; }

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return failed(ErrorCode::not_found, fmt::format("cannot read {}: {}; make keys with `baton keys init` and `baton keys issue`",
                                                    path, std::strerror(errno)));
  }
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Never over an existing file, and never readable by others, not even for a moment.
Status write_new_file(const std::string& path, const std::string& text, mode_t mode) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) {
    return failed(ErrorCode::io_error, errno == EEXIST ? fmt::format("{} exists already; remove it to make a new one", path)
                                                       : fmt::format("cannot write {}: {}", path, std::strerror(errno)));
  }
  const bool wrote = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return wrote ? ok() : Status{failed(ErrorCode::io_error, fmt::format("cannot write {}: disk full?", path))};
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string pem_of(const Key& key) {
  Bio bio{BIO_new(BIO_s_mem())};
  PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return text_of(bio.get());
}

std::string pem_of(const Certificate& certificate) {
  Bio bio{BIO_new(BIO_s_mem())};
  PEM_write_bio_X509(bio.get(), certificate.get());
  return text_of(bio.get());
}

int no_passphrase(char*, int, int, void*) { return -1; }   // an encrypted key is refused instead of asked for on the terminal

Key parse_key(const std::string& pem) {
  Bio bio{BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
  return Key{PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr)};
}

Certificate parse_certificate(const std::string& pem) {
  Bio bio{BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
  return Certificate{PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr)};
}

void add_extension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  CHECK(extension != nullptr, "extension {}", value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// `issuer` null: signs itself and may sign others.
Certificate make_certificate(const std::string& name, const Key& key, X509* issuer, const Key& issuer_key, int days) {
  Certificate certificate{X509_new()};
  X509* x = certificate.get();
  X509_set_version(x, 2);
  unsigned char serial[16];
  CHECK(RAND_bytes(serial, sizeof serial) == 1, "no random numbers");
  serial[0] &= 0x7f;
  std::unique_ptr<BIGNUM, Freer<BN_free>> number{BN_bin2bn(serial, sizeof serial, nullptr)};
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(x));
  X509_gmtime_adj(X509_getm_notBefore(x), -3600);          // clocks of nodes differ
  X509_time_adj_ex(X509_getm_notAfter(x), days, 0, nullptr);
  X509_set_pubkey(x, key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.data()), static_cast<int>(name.size()), -1, 0);
  X509* signer = issuer == nullptr ? x : issuer;
  X509_set_issuer_name(x, X509_get_subject_name(signer));
  if (issuer == nullptr) {
    add_extension(x, signer, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
    add_extension(x, signer, NID_key_usage, "critical,keyCertSign,cRLSign");
    add_extension(x, signer, NID_subject_key_identifier, "hash");
  } else {
    add_extension(x, signer, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(x, signer, NID_key_usage, "critical,digitalSignature");
    add_extension(x, signer, NID_ext_key_usage, "serverAuth,clientAuth");
    add_extension(x, signer, NID_subject_key_identifier, "hash");
    add_extension(x, signer, NID_authority_key_identifier, "keyid");
  }
  CHECK(X509_sign(x, issuer_key.get(), EVP_sha256()) > 0, "signing");
  return certificate;
}

bool good_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && name != "ca" && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; });
}

Status check_chain(const KeyFiles& files, X509* certificate, X509* authority) {
  Store store{X509_STORE_new()};
  X509_STORE_add_cert(store.get(), authority);
  StoreContext context{X509_STORE_CTX_new()};
  X509_STORE_CTX_init(context.get(), store.get(), certificate, nullptr);
  if (X509_verify_cert(context.get()) == 1) return ok();
  const int why = X509_STORE_CTX_get_error(context.get());
  return failed(ErrorCode::invalid_file,
                fmt::format("{} is refused by the authority {}: {}; issue it anew with `baton keys issue`", files.certificate,
                            files.authority, X509_verify_cert_error_string(why)));
}

}  // namespace

KeyFiles key_files(const std::string& dir, const std::string& name) {
  return {dir + "/" + name + ".pem", dir + "/" + name + ".key", dir + "/ca.pem"};
}

Status make_authority(const std::string& dir) {
  std::error_code error;
  fs::create_directories(dir, error);
  if (error) return failed(ErrorCode::io_error, fmt::format("cannot make {}: {}", dir, error.message()));
  ::chmod(dir.c_str(), 0700);
  const Key key{EVP_EC_gen("P-256")};
  const Certificate certificate = make_certificate("baton cluster authority", key, nullptr, key, kAuthorityDays);
  if (Status status = write_new_file(dir + "/ca.key", pem_of(key), 0600); !status) return status;
  return write_new_file(dir + "/ca.pem", pem_of(certificate), 0644);
}

Result<KeyFiles> issue_key(const std::string& dir, const std::string& name, int days) {
  if (!good_name(name)) {
    return failed(ErrorCode::invalid_argument,
                  fmt::format("\"{}\" is no name for a key: use 1 to 64 letters, digits, '-', '_' or '.', and not \"ca\"", name));
  }
  const auto authority_key_pem = read_file(dir + "/ca.key");
  if (!authority_key_pem) return authority_key_pem.error();
  const auto authority_pem = read_file(dir + "/ca.pem");
  if (!authority_pem) return authority_pem.error();
  const Key authority_key = parse_key(*authority_key_pem);
  const Certificate authority = parse_certificate(*authority_pem);
  if (!authority_key || !authority) {
    return failed(ErrorCode::invalid_file, fmt::format("{0}/ca.key or {0}/ca.pem is not a PEM key or certificate", dir));
  }
  const KeyFiles files = key_files(dir, name);
  const Key key{EVP_EC_gen("P-256")};
  const Certificate certificate = make_certificate(name, key, authority.get(), authority_key, days);
  if (Status status = write_new_file(files.key, pem_of(key), 0600); !status) return status.error();
  if (Status status = write_new_file(files.certificate, pem_of(certificate), 0644); !status) return status.error();
  return files;
}

Status check_keys(const KeyFiles& files) {
  const auto certificate_pem = read_file(files.certificate);
  if (!certificate_pem) return certificate_pem.error();
  const auto key_pem = read_file(files.key);
  if (!key_pem) return key_pem.error();
  const auto authority_pem = read_file(files.authority);
  if (!authority_pem) return authority_pem.error();
  const auto unparsed = [](const std::string& path, const char* what) {
    return failed(ErrorCode::invalid_file, fmt::format("{} holds no {} in PEM form (without a passphrase)", path, what));
  };
  const Certificate certificate = parse_certificate(*certificate_pem);
  if (!certificate) return unparsed(files.certificate, "certificate");
  const Key key = parse_key(*key_pem);
  if (!key) return unparsed(files.key, "private key");
  const Certificate authority = parse_certificate(*authority_pem);
  if (!authority) return unparsed(files.authority, "certificate");
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    return failed(ErrorCode::invalid_file, fmt::format("{} is not the key of {}", files.key, files.certificate));
  }
  return check_chain(files, certificate.get(), authority.get());
}

Result<KeyFiles> keep_in_memory(const KeyFiles& files) {
  const auto certificate = read_file(files.certificate);
  if (!certificate) return certificate.error();
  const auto key = read_file(files.key);
  if (!key) return key.error();
  const auto authority = read_file(files.authority);
  if (!authority) return authority.error();
  const std::string name = hold_identity(*certificate, *key, *authority);
  return KeyFiles{name, name, name};
}

}  // namespace baton
