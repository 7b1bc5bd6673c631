// Clients that want to hurt: JSON nested without end, words without end, bytes sent before leaving.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include <nlohmann/json.hpp>
#include <spdlog/fmt/fmt.h>

#include "tests/actors/gateway/gateway_helpers.h"

namespace baton::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::string times(std::size_t count, const std::string& text) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

struct Body {
  const char* path;
  std::string before, after;                   // a value goes between them
};
const std::vector<Body> kBodies = {
    {"/v1/completions", R"({"prompt":[1,)", "]}"},
    {"/v1/completions", R"({"prompt":)", "}"},
    {"/v1/completions", R"({"prompt":"a","unknown":)", "}"},
    {"/v1/completions", R"({"prompt":"a","stop_token_ids":[)", "]}"},
    {"/v1/completions", R"({"prompt":"a","stop":[)", "]}"},
    {"/v1/completions", R"({"prompt":"a","logit_bias":{"1":)", "}}"},
    {"/v1/completions", R"({"prompt":"a","stream":true,"stream_options":{"include_usage":)", "}}"},
    {"/v1/completions", R"({"prompt":"a","suffix":)", "}"},
    {"/v1/chat/completions", R"({"messages":[{"role":"user","content":[{"type":)", "}]}]}"},
    {"/v1/chat/completions", R"({"messages":[{"role":"user","content":[{"type":"text","text":)", "}]}]}"},
    {"/v1/chat/completions", R"({"messages":[{"role":)", R"(,"content":"a"}]})"},
    {"/v1/chat/completions", R"({"messages":[{"role":"user","content":"a"}],"response_format":{"type":)", "}}"},
    {"/v1/chat/completions", R"({"messages":[{"role":"user","content":"a"}],"tools":)", "}"},
    {"/tokenize", R"({"messages":[{"role":"user","content":[{"type":)", "}]}]}"},
    {"/tokenize", R"({"prompt":)", "}"},
    {"/detokenize", R"({"tokens":[)", "]}"},
    {"/detokenize", R"({"tokens":)", "}"},
};

TEST(HostileJson, nested_without_end_is_refused_wherever_it_stands) {
  constexpr std::size_t kDepth = 200'000;
  const std::string objects = times(kDepth, R"({"a":)") + "1" + std::string(kDepth, '}');
  GatewayTest test;
  for (const Body& body : kBodies) {
    for (const std::string& value : {nested(kDepth), objects, std::string(kDepth, '[')}) {
      const Reply reply = test.post(body.path, body.before + value + body.after);
      EXPECT_EQ(reply.status, 400u) << body.path << " " << body.before << value.substr(0, 10);
      EXPECT_THAT(reply.body, HasSubstr("nested too deeply")) << body.path << " " << body.before << value.substr(0, 10);
    }
  }
  EXPECT_EQ(test.get("/live").status, 200u);
}

TEST(HostileJson, may_be_nested_sixty_four_deep_and_brackets_in_text_do_not_count) {
  GatewayTest test;
  EXPECT_EQ(test.post("/v1/completions", R"({"prompt":"a","unknown":)" + nested(63) + "}").status, 200u);
  EXPECT_EQ(test.post("/v1/completions", R"({"prompt":"a","unknown":)" + nested(64) + "}").status, 400u);
  const std::string text = std::string(R"(\\\"[{)") + std::string(1000, '[');
  EXPECT_EQ(json::parse(test.post("/tokenize", R"({"prompt":")" + text + R"("})").body)["count"], 1004);
  EXPECT_EQ(test.post("/v1/completions", R"({"prompt":"a","unknown":[)" + times(1000, "[],{},") + "1]}").status, 200u);
}

TEST(HostileJson, is_never_repeated_at_length) {
  const std::string endless(100'000, 'x');
  const std::string values[] = {fmt::format("\"{}\"", endless), endless, fmt::format("[{}1]", times(20'000, "1,")),
                                fmt::format("{{\"z\":\"{}\"}}", endless), std::string(3000, '7')};
  GatewayTest test;
  for (const Body& body : kBodies) {
    for (const std::string& value : values) {
      const Reply reply = test.post(body.path, body.before + value + body.after);
      if (reply.status == 200) continue;
      EXPECT_LT(reply.body.size(), 1200u) << body.path << " " << body.before << value.substr(0, 10);
    }
  }
  const std::string more[] = {fmt::format(R"({{"prompt":"a","model":"{}"}})", endless),
                              fmt::format(R"({{"prompt":"a","logit_bias":{{"{}":1}}}})", endless),
                              fmt::format(R"({{"prompt":"a","logit_bias":{{"1{}":1}}}})", endless), R"({"prompt":"a"})" + endless};
  for (const std::string& body : more) {
    const Reply reply = test.post("/v1/completions", body);
    EXPECT_GE(reply.status, 400u) << body.substr(0, 40);
    EXPECT_LT(reply.body.size(), 1200u) << body.substr(0, 40);
  }
  EXPECT_LT(test.get("/" + std::string(10'000, 'x')).body.size(), 1200u);
}

// A backend that never answers by itself.
class LeavingTest : public GatewayTest {
 public:
  explicit LeavingTest(std::function<void(HttpOptions&)> change = {}) : GatewayTest(std::move(change)) {
    backend().script = [this](const RequestSpec&, std::shared_ptr<RequestSink> sink) {
      const std::scoped_lock lock(mutex_);
      held_.push_back(std::move(sink));
    };
  }
  ~LeavingTest() {
    for (const auto& sink : held_) sink->on_outcome(bad_outcome(ErrorCode::cancelled, "the client went away"));
  }
  void finish() {
    const std::scoped_lock lock(mutex_);
    held_.back()->on_token(token_event(0, 'x', "length"));
    held_.back()->on_outcome(good_outcome(1, 1));
    held_.pop_back();
  }
  bool await_submitted(std::size_t count) {
    return eventually([&] { const std::scoped_lock lock(mutex_); return held_.size() == count; });
  }

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<RequestSink>> held_;
};

const std::string kLive = "GET /live HTTP/1.1\r\n\r\n";

TEST(HostileClients, that_leave_after_sending_more_than_their_request_are_noticed) {
  const std::string more[] = {"x", kLive, times(100, kLive), std::string(1 << 20, 'x')};
  for (const char* body : {R"({"prompt":"a"})", R"({"prompt":"a","stream":true})"}) {
    for (const std::string& bytes : more) {
      LeavingTest test([](HttpOptions& o) { o.max_body_bytes = 64 << 10; });
      Client client = test.client();
      client.post("/v1/completions", body);
      ASSERT_TRUE(test.await_submitted(1));
      client.send(bytes);
      client.close();
      EXPECT_TRUE(eventually([&] { return test.backend().cancelled().size() == 1; })) << body << ", " << bytes.size() << " bytes more";
    }
  }
}

TEST(HostileClients, that_send_much_while_they_wait_get_every_answer) {
  LeavingTest test;
  Client client = test.client();
  client.post("/v1/completions", R"({"prompt":"a"})");
  ASSERT_TRUE(test.await_submitted(1));
  constexpr int kRequests = 6000;
  client.send(times(kRequests, kLive));
  EXPECT_EQ(test.get("/live").status, 200u);
  EXPECT_TRUE(test.backend().cancelled().empty());
  test.finish();
  EXPECT_EQ(json::parse(client.read().body)["choices"][0]["text"], "x");
  for (int i = 0; i < kRequests; ++i) ASSERT_EQ(client.read().body, R"({"status":"live"})") << i;
}

TEST(HostileClients, that_send_more_than_another_request_while_they_wait_get_their_answer_and_the_end_of_the_connection) {
  LeavingTest test([](HttpOptions& o) { o.max_body_bytes = 64 << 10; });
  Client client = test.client();
  client.post("/v1/completions", R"({"prompt":"a"})");
  ASSERT_TRUE(test.await_submitted(1));
  client.send(std::string(16 << 20, 'x'));     // more than the kernel holds: the server has read the better part of it
  test.finish();
  const Reply reply = client.read();
  EXPECT_EQ(json::parse(reply.body)["choices"][0]["text"], "x");
  EXPECT_EQ(reply.headers.at("connection"), "close");
  EXPECT_TRUE(client.closed_by_server());
}

}  // namespace
}  // namespace baton::gateway
