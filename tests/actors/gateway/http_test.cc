// HTTP itself: connections, limits, clients that misbehave or go away.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/resource.h>

#include <filesystem>
#include <thread>

#include <nlohmann/json.hpp>

#include "tests/actors/gateway/gateway_helpers.h"

namespace baton::gateway {
namespace {

using nlohmann::json;

TEST(Http, is_unhealthy_until_the_cluster_is_ready_and_always_live) {
  GatewayTest test;
  test.backend().is_ready = false;
  EXPECT_EQ(test.get("/health").status, 503u);
  EXPECT_EQ(test.get("/live").status, 200u);
  test.backend().is_ready = true;
  EXPECT_EQ(test.get("/health").status, 200u);
}

TEST(Http, lists_the_model_with_id_and_root) {
  GatewayTest test;
  const json model = json::parse(test.get("/v1/models").body)["data"][0];
  EXPECT_EQ(model["id"], "tiny");
  EXPECT_EQ(model["root"], "/srv/models/tiny");
  EXPECT_EQ(model["object"], "model");
  EXPECT_EQ(model["max_model_len"], 64);
}

TEST(Http, tells_when_the_model_was_loaded_whoever_asks_and_whenever) {
  GatewayTest test;
  const json first = json::parse(test.get("/v1/models").body)["data"][0]["created"];
  EXPECT_GT(first.get<std::int64_t>(), 0);
  const auto second_passed = [&, begun = std::chrono::system_clock::now()] {
    return std::chrono::system_clock::now() - begun > std::chrono::milliseconds(1100);
  };
  ASSERT_TRUE(eventually(second_passed));
  EXPECT_EQ(json::parse(test.get("/v1/models").body)["data"][0]["created"], first);
}

TEST(Http, shows_one_model_by_each_of_its_names) {
  GatewayTest test([](HttpOptions& o) { o.model_aliases = {"org/alias"}; });
  for (const char* path : {"/v1/models/tiny", "/v1/models/org/alias", "/v1/models/org%2Falias"}) {
    const Reply reply = test.get(path);
    EXPECT_EQ(reply.status, 200u) << path;
    EXPECT_EQ(json::parse(reply.body)["id"], "tiny") << path;
    EXPECT_EQ(json::parse(reply.body)["object"], "model") << path;
  }
  const Reply other = test.get("/v1/models/other");
  EXPECT_EQ(other.status, 404u);
  EXPECT_EQ(json::parse(other.body)["error"]["code"], "model_not_found");
  EXPECT_EQ(test.post("/v1/models/tiny", "{}").status, 405u);
  EXPECT_THAT(test.get("/metrics").body, testing::HasSubstr("path=\"/v1/models/{id}\""));
}

TEST(Http, takes_the_absolute_form_of_a_target) {
  GatewayTest test;
  EXPECT_EQ(test.get("http://test/live").status, 200u);
  EXPECT_EQ(test.get("HTTP://test:8000/live?a=http://b/c").status, 200u);
  EXPECT_EQ(test.get("http://test").status, 404u);
}

TEST(Http, answers_unknown_paths_and_methods_as_it_should) {
  GatewayTest test;
  EXPECT_EQ(test.get("/nowhere").status, 404u);
  Client client = test.client();
  client.send("DELETE /v1/models HTTP/1.1\r\nHost: x\r\n\r\n");
  const Reply reply = client.read();
  EXPECT_EQ(reply.status, 405u);
  EXPECT_EQ(reply.headers.at("allow"), "GET, HEAD");
}

TEST(Http, answers_head_without_a_body_and_keeps_the_connection) {
  GatewayTest test;
  Client client = test.client();
  client.send("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET /live HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.read(true).status, 200u);
  EXPECT_EQ(client.read().body, R"({"status":"live"})");
}

TEST(Http, serves_several_requests_on_one_connection_streams_included) {
  GatewayTest test;
  Client client = test.client();
  for (int i = 0; i < 20; ++i) {
    client.post("/v1/completions", i % 2 ? R"({"prompt":"a","stream":true})" : R"({"prompt":"a"})");
    EXPECT_TRUE(client.read().complete) << i;
  }
}

TEST(Http, serves_pipelined_requests_in_order) {
  GatewayTest test;
  Client client = test.client();
  const std::string body = R"({"prompt":"a","stream":true})";
  const std::string request = "POST /v1/completions HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  client.send(request + request + "GET /live HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(client.read().complete);
  EXPECT_TRUE(client.read().complete);
  EXPECT_EQ(client.read().body, R"({"status":"live"})");
}

TEST(Http, returns_the_clients_request_id_and_never_a_forged_header) {
  GatewayTest test;
  Client client = test.client();
  client.post("/v1/completions", R"({"prompt":"a"})", "X-Request-ID: abc-1\r\n");
  const Reply plain = client.read();
  EXPECT_EQ(plain.headers.at("x-request-id"), "abc-1");
  // A line's end, also as a folded line and by itself, and every other control character.
  std::vector<std::string> forged{"a\r\nSet-Cookie: b", "a\r\n Set-Cookie: b", "a\r\n\tSet-Cookie: b"};
  for (int c = 0; c < 0x20; ++c) forged.push_back(std::string{"a"} + static_cast<char>(c) + "Set-Cookie: b");
  forged.push_back("a\x7fSet-Cookie: b");
  for (const std::string& id : forged) {
    Client forger = test.client();
    forger.post("/v1/completions", R"({"prompt":"a"})", "X-Request-ID: " + id + "\r\n");
    const Reply reply = forger.read();
    EXPECT_TRUE(reply.complete);
    EXPECT_FALSE(reply.headers.contains("set-cookie")) << testing::PrintToString(id);
    if (reply.status != 400u) {
      EXPECT_EQ(reply.status, 200u) << testing::PrintToString(id);
      EXPECT_EQ(reply.headers.size(), plain.headers.size()) << testing::PrintToString(id);
      for (const char c : reply.headers.at("x-request-id")) EXPECT_TRUE(c >= 0x20 && c < 0x7f) << testing::PrintToString(id);
    }
  }
}

TEST(Http, returns_the_clients_request_id_with_every_answer) {
  GatewayTest test([](HttpOptions& o) { o.max_body_bytes = 2048; });
  const std::pair<const char*, std::string> requests[] = {
      {"GET /live", ""}, {"GET /v1/models", ""}, {"GET /metrics", ""}, {"GET /nowhere", ""}, {"DELETE /live", ""},
      {"POST /tokenize", R"({"prompt":"a"})"}, {"POST /v1/completions", R"({"prompt":"a","stream":true})"},
      {"POST /v1/completions", "{"}, {"POST /v1/completions", std::string(4096, ' ')}};
  for (const auto& [line, body] : requests) {
    Client client = test.client();
    const std::string head = std::string(line) + " HTTP/1.1\r\nX-Request-ID: id-7\r\n";
    client.send(head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    EXPECT_EQ(client.read().headers["x-request-id"], "id-7") << line << " " << body.substr(0, 40);
  }
  EXPECT_FALSE(test.get("/live").headers.contains("x-request-id"));
}

TEST(Http, bounds_header_and_body) {
  GatewayTest test([](HttpOptions& o) { o.max_header_bytes = 1024; o.max_body_bytes = 2048; });
  Client header = test.client();
  header.send("GET /live HTTP/1.1\r\nX-Long: " + std::string(4096, 'a') + "\r\n\r\n");
  EXPECT_EQ(header.read().status, 431u);
  Client body = test.client();
  body.post("/v1/completions", std::string(4096, ' '));
  EXPECT_EQ(body.read().status, 413u);
  Client chunked = test.client();
  chunked.send("POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n" + std::string(4096, ' ') + "\r\n0\r\n\r\n");
  EXPECT_EQ(chunked.read().status, 413u);
  EXPECT_EQ(test.get("/live").status, 200u);
}

TEST(Http, survives_bytes_that_are_no_http) {
  GatewayTest test;
  std::uint64_t state = 1;
  for (int i = 0; i < 200; ++i) {
    Client client = test.client();
    std::string bytes;
    for (int k = 0; k < 64; ++k) bytes += static_cast<char>((state = state * 6364136223846793005u + 1442695040888963407u) >> 56);
    client.send(bytes);
  }
  Client malformed = test.client();
  malformed.send("GET\r\n\r\n");
  EXPECT_EQ(malformed.read().status, 400u);
  for (const char* body : {"", "{", "[]", "null", "\"\xff\"", "{\"prompt\":\"\xc3\x28\"}", R"({"prompt":"a"}x)"}) {
    EXPECT_EQ(test.post("/v1/completions", body).status, 400u) << body;
  }
  EXPECT_EQ(test.post("/v1/completions", std::string(100000, '[')).status, 400u);
  EXPECT_EQ(test.get("/live").status, 200u);
}

TEST(Http, cancels_the_request_of_a_client_that_goes_away) {
  GatewayTest test;
  HeldRequests held(test.backend());
  for (const char* body : {R"({"prompt":"a","stream":true})", R"({"prompt":"a"})"}) {
    const std::size_t before = test.backend().cancelled().size();
    Client client = test.client();
    client.post("/v1/completions", body);
    ASSERT_TRUE(eventually([&] { return test.backend().submitted().size() == before + 1; }));
    client.close();
    EXPECT_TRUE(eventually([&] { return test.backend().cancelled().size() == before + 1; })) << body;
    EXPECT_EQ(test.backend().cancelled().back(), test.backend().submitted().back().id);
    held.last().on_outcome(bad_outcome(ErrorCode::cancelled, "the client went away"));
  }
}

TEST(Http, does_not_cancel_a_request_that_has_ended) {
  GatewayTest test;
  {
    Client client = test.client();
    client.post("/v1/completions", R"({"prompt":"a","stream":true})");
    EXPECT_TRUE(client.read().complete);
  }
  EXPECT_EQ(test.get("/live").status, 200u);
  EXPECT_TRUE(test.backend().cancelled().empty());
}

TEST(Http, gives_up_on_a_client_that_does_not_read) {
  GatewayTest test([](HttpOptions& o) { o.max_unsent_bytes = 4096; });
  test.backend().script = [](const RequestSpec&, std::shared_ptr<RequestSink> sink) {
    for (int i = 0; i < 200000; ++i) sink->on_token(token_event(0, 'a'));
  };
  Client client = test.client();
  client.post("/v1/completions", R"({"prompt":"a","stream":true})");
  EXPECT_TRUE(eventually([&] { return test.backend().cancelled().size() == 1; }));
}

TEST(Http, takes_a_long_event_for_no_sign_that_the_client_does_not_read) {
  GatewayTest test([](HttpOptions& o) { o.max_unsent_bytes = 64; o.max_model_len = 8192; });
  Client client = test.client();
  client.post("/v1/completions", R"({"prompt":")" + std::string(8000, 'a') + R"(","echo":true,"stream":true})");
  EXPECT_TRUE(client.read().complete);
}

TEST(Http, ends_connections_that_are_slow_or_idle) {
  GatewayTest test([](HttpOptions& o) { o.idle_timeout = Milliseconds{50}; o.read_timeout = Milliseconds{50}; });
  Client idle = test.client();
  EXPECT_TRUE(idle.closed_by_server());
  Client slow = test.client();
  slow.send("POST /v1/completions HTTP/1.1\r\nContent-Length: 100\r\n\r\n{");
  EXPECT_TRUE(slow.closed_by_server());
}

TEST(Http, bounds_connections_and_requests_in_flight) {
  GatewayTest test([](HttpOptions& o) { o.max_connections = 3; o.max_requests = 1; });
  HeldRequests held(test.backend());
  Client first = test.client();
  first.post("/v1/completions", R"({"prompt":"a"})");
  ASSERT_TRUE(eventually([&] { return test.backend().submitted().size() == 1; }));
  Client second = test.client();
  second.post("/v1/completions", R"({"prompt":"a"})");
  const Reply refused = second.read();
  EXPECT_EQ(refused.status, 429u);
  EXPECT_EQ(refused.headers.at("retry-after"), "1");
  Client third = test.client();
  third.send("GET /live HTTP/1.1\r\n\r\n");
  EXPECT_EQ(third.read().status, 200u);
  Client fourth = test.client();
  EXPECT_EQ(fourth.read().status, 503u);
  held.last().on_outcome(good_outcome(1, 0));
}

// Both ends of a connection are in this process: a thousand take over two thousand descriptors, more than the usual soft limit.
void allow_many_descriptors() {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  ASSERT_GE(limit.rlim_cur, 2200u) << "the hard limit of descriptors (ulimit -Hn) is too low for this test";
}

TEST(Http, holds_a_thousand_streams_without_a_thousand_threads) {
  ASSERT_NO_FATAL_FAILURE(allow_many_descriptors());
  GatewayTest test;
  HeldRequests held(test.backend());
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 1000; ++i) {
    clients.push_back(std::make_unique<Client>(test.server().port()));
    clients.back()->post("/v1/completions", R"({"prompt":"a","stream":true})");
  }
  ASSERT_TRUE(eventually([&] { return held.all().size() == 1000; }));
  std::size_t threads = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) ++threads;
  EXPECT_LE(threads, 8u);
  for (const auto& sink : held.all()) {
    sink->on_token(token_event(0, 'x', "length"));
    sink->on_outcome(good_outcome(1, 1));
  }
  std::size_t complete = 0;
  for (const auto& client : clients) complete += client->read().complete;
  EXPECT_EQ(complete, 1000u);
}

TEST(Http, refuses_a_busy_port_by_name) {
  GatewayTest test;
  try {
    GatewayTest busy([&](HttpOptions& o) { o.port = test.server().port(); });
    FAIL() << "a second server on the same port started";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("choose another with --port"));
  }
}

TEST(Http, finishes_streams_when_it_drains) {
  GatewayTest test;
  HeldRequests held(test.backend());
  Client client = test.client();
  client.post("/v1/completions", R"({"prompt":"a","stream":true})");
  ASSERT_TRUE(eventually([&] { return held.all().size() == 1; }));
  held.last().on_token(token_event(0, 'a'));
  client.read_until("\"a\"");
  std::thread draining([&] { test.server().drain_and_stop(Milliseconds{60000}); });
  EXPECT_TRUE(eventually([&] { return test.refuses_connections(); }));
  held.last().on_token(token_event(0, 'b', "length"));
  held.last().on_outcome(good_outcome(1, 2));
  const Reply reply = client.read();
  draining.join();
  EXPECT_TRUE(reply.complete);
  EXPECT_THAT(reply.body, testing::HasSubstr("\"b\""));
}

TEST(Http, tokenizes_and_back) {
  GatewayTest test;
  EXPECT_EQ(json::parse(test.post("/tokenize", R"({"prompt":"a<|im_end|>"})").body)["tokens"], json({97, 257}));
  const json plain = json::parse(test.post("/tokenize", R"({"prompt":"<|im_end|>","parse_special":false})").body);
  EXPECT_EQ(plain["count"], 10);
  EXPECT_EQ(plain["max_model_len"], 64);
  const char* chat = R"({"messages":[{"role":"user","content":"a"}],"add_generation_prompt":false})";
  EXPECT_EQ(json::parse(test.post("/tokenize", chat).body)["tokens"][0], 256);
  EXPECT_EQ(json::parse(test.post("/detokenize", R"({"tokens":[97,257]})").body)["prompt"], "a<|im_end|>");
  EXPECT_EQ(test.post("/detokenize", R"({"tokens":[999]})").status, 400u);
  EXPECT_EQ(test.post("/tokenize", R"({})").status, 400u);
}

TEST(Http, shows_metrics_and_the_cluster) {
  GatewayTest test;
  test.post("/v1/completions", R"({"prompt":"abcd"})");
  const std::string metrics = test.get("/metrics").body;
  for (const char* line : {"baton:kv_bytes_received_total{transport=\"ucx\"",
                           "vllm:time_to_first_token_seconds_count{model_name=\"tiny\",engine=\"gateway\"} 1\n",
                           "vllm:generation_tokens_total{model_name=\"tiny\",engine=\"gateway\"} 3\n",
                           "vllm:prompt_tokens_total{model_name=\"tiny\",engine=\"gateway\"} 4\n",
                           "baton:recoveries_total{phase=\"decode\"} 0\n", "baton:kv_blocks_rejected_total{reason=\"digest\"",
                           "baton:recomputed_tokens_total{"}) {
    EXPECT_THAT(metrics, testing::HasSubstr(line));
  }
  const json cluster = json::parse(test.get("/cluster").body);
  const json node = cluster["nodes"][0];
  for (const char* key : {"name", "role", "pid", "incarnation", "address", "state", "running", "waiting", "blocks_total",
                          "blocks_used", "blocks_leased"}) {
    EXPECT_TRUE(node.contains(key)) << key;
  }
  EXPECT_EQ(cluster["requests"], (json{{"running", 0}, {"waiting", 0}}));
}

}  // namespace
}  // namespace baton::gateway
