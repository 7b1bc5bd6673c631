#include "transport/ucx_transports.h"

#include <uct/api/uct.h>

#include <map>
#include <set>

namespace baton::transport {
namespace {

using Found = std::map<std::string, std::set<std::string>>;

// A memory domain is what UCX opens to reach the transports of one component (its name for a driver).
void look_at_domain(uct_component_h component, const char* name, Found& found) {
  uct_md_config_t* config = nullptr;
  if (uct_md_config_read(component, nullptr, nullptr, &config) != UCS_OK) return;
  uct_md_h domain = nullptr;
  const ucs_status_t opened = uct_md_open(component, name, config, &domain);
  uct_config_release(config);
  if (opened != UCS_OK) return;
  uct_tl_resource_desc_t* transports = nullptr;
  unsigned count = 0;
  if (uct_md_query_tl_resources(domain, &transports, &count) == UCS_OK) {
    for (unsigned i = 0; i < count; ++i) found[transports[i].tl_name].insert(transports[i].dev_name);
    uct_release_tl_resource_list(transports);
  }
  uct_md_close(domain);
}

void look_at_component(uct_component_h component, Found& found) {
  uct_component_attr_t attributes{};
  attributes.field_mask = UCT_COMPONENT_ATTR_FIELD_MD_RESOURCE_COUNT;
  if (uct_component_query(component, &attributes) != UCS_OK || attributes.md_resource_count == 0) return;
  std::vector<uct_md_resource_desc_t> domains(attributes.md_resource_count);
  attributes.field_mask = UCT_COMPONENT_ATTR_FIELD_MD_RESOURCES;
  attributes.md_resources = domains.data();
  if (uct_component_query(component, &attributes) != UCS_OK) return;
  for (const uct_md_resource_desc_t& domain : domains) look_at_domain(component, domain.md_name, found);
}

}  // namespace

std::vector<UcxTransport> ucx_transports() {
  uct_component_h* components = nullptr;
  unsigned count = 0;
  if (uct_query_components(&components, &count) != UCS_OK) return {};
  Found found;
  for (unsigned i = 0; i < count; ++i) look_at_component(components[i], found);
  uct_release_component_list(components);
  std::vector<UcxTransport> transports;
  for (const auto& [name, devices] : found) transports.push_back({name, {devices.begin(), devices.end()}});
  return transports;
}

}  // namespace baton::transport
