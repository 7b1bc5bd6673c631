// A value of any inspectable type with every field set, each to something else, and no container empty: what the self-test and the
// tests of messages send, since a default value would hide a field that does not travel.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace baton {

class Filler {
 public:
  using result_type = void;
  template <class... Ts>
  void operator()(Ts&... fields) {
    (fill(fields), ...);
  }

 private:
  template <class T>
  void fill(T& x) {
    if constexpr (std::is_same_v<T, bool>) {
      x = true;
    } else if constexpr (std::is_enum_v<T>) {
      x = static_cast<T>(1);
    } else if constexpr (std::is_arithmetic_v<T>) {
      x = static_cast<T>(++next_);
    } else {
      inspect(*this, x);
    }
  }
  void fill(std::string& x) { x = "text " + std::to_string(++next_); }
  template <class Rep, class Period>
  void fill(std::chrono::duration<Rep, Period>& x) {
    x = std::chrono::duration<Rep, Period>{++next_};
  }
  template <class A, class B>
  void fill(std::pair<A, B>& x) {
    fill(x.first);
    fill(x.second);
  }
  template <class T>
  void fill(std::vector<T>& x) {
    x.resize(2);
    for (T& entry : x) fill(entry);
  }

  int next_ = 0;
};

template <class T>
T filled() {
  T value{};
  Filler filler;
  inspect(filler, value);
  return value;
}

}  // namespace baton
