// A cluster as SplitwiseSim would start it: the model, the machines with their numbers and tags, the scheduler. Made from the words
// of the command line:
//
//   start state        machines                                  schedulers
//   baseline, orca     --machines GPU:COUNT[,...]                round_robin, jsq, token_jsq
//   splitwise          --prompt GPU:COUNT --token GPU:COUNT      all
//   splitwise_hhcap    the same, h100-80gb and h100-80gb-pcap    all
//
// Machines are called <gpu>_<number> and numbered as the source does: where all have the same GPU, prompt machines first; else token
// machines first. Machines of several GPUs on one side are in the order of configs/profiles/splitwise_machines.yaml.
// Source: SplitwiseSim's modules start_state and cluster, configs/start_state, configs/orchestrator_repo/schedulers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/sim/splitwise_profile.h"

namespace baton::sim::splitwise {

// How a machine forms its batches (splitwise_machine.h).
enum class Batching : std::uint8_t { orca, splitwise };
enum class Tag : std::uint8_t { none, prompt, token };
enum class Policy : std::uint8_t { round_robin, jsq, token_jsq, kv_round_robin, kv_jsq, mixed_pool };

struct MachineSpec {
  std::string name;                        // h100-80gb_0
  Gpu gpu;
  Tag tag = Tag::none;
};

struct Cluster {
  Model model;
  Hardware hardware;
  Batching batching = Batching::splitwise;
  Policy policy = Policy::token_jsq;
  double transfer_bytes_per_s = 0;         // between any two machines, for each request its own
  std::vector<MachineSpec> machines;       // by number
};

struct ClusterWords {
  std::string model;
  std::string start_state;
  std::string scheduler;
  std::string prompt;                      // GPU:COUNT, several with commas
  std::string token;
  std::string machines;
};

// Errors: invalid_argument (a word that is not known, a count that is none, machines that the start state has not), unsupported (a
// scheduler that the source has but that cannot be a reference). Each names the flag and what to write instead.
Result<Cluster> make_cluster(const ClusterWords& words);

}  // namespace baton::sim::splitwise
