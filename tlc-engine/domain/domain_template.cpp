// SPDX-License-Identifier: GPL-2.0-or-later
#include "domain_template.hpp"

#include <libxml/parser.h>
#include <libxml/tree.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <vector>

namespace tlc {
namespace {

const xmlChar* xml(const char* text) { return reinterpret_cast<const xmlChar*>(text); }
std::string_view name_of(const xmlNode* node) { return reinterpret_cast<const char*>(node->name); }

std::string attribute(xmlNode* node, const char* name) {
    const std::unique_ptr<xmlChar, void (*)(void*)> value(xmlGetProp(node, xml(name)),
                                                          [](void* p) { xmlFree(p); });
    return value ? reinterpret_cast<const char*>(value.get()) : "";
}

template <size_t N>
bool one_of(std::string_view name, const std::array<std::string_view, N>& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

// What may stay, what the job decides (it is replaced, so that a dumped domain can be a template), and below
// <devices> what keeps its state in the VM alone. All else is refused: it is of the host, or of a libvirtd.
constexpr std::array<std::string_view, 10> kept = {"title", "description", "metadata",    "features", "cpu",
                                                   "clock", "sysinfo",     "commandline", "devices",  "pm"};
constexpr std::array<std::string_view, 9> replaced = {
    "name", "uuid", "memory", "currentMemory", "vcpu", "os", "on_poweroff", "on_reboot", "on_crash"};
constexpr std::array<std::string_view, 11> devices_kept = {"controller", "input",      "rng",      "watchdog",
                                                           "panic",      "memballoon", "video",    "sound",
                                                           "audio",      "iommu",      "interface"};

std::vector<xmlNode*> elements(xmlNode* parent) {
    std::vector<xmlNode*> found;
    for (xmlNode* node = parent->children; node != nullptr; node = node->next)
        if (node->type == XML_ELEMENT_NODE) found.push_back(node);
    return found;
}

xmlNode* child(xmlNode* parent, std::string_view name) {
    for (auto* node : elements(parent))
        if (name_of(node) == name) return node;
    return nullptr;
}

xmlNode* child_or_new(xmlNode* parent, const char* name) {
    auto* node = child(parent, name);
    return node != nullptr ? node : xmlNewChild(parent, nullptr, xml(name), nullptr);
}

void remove(xmlNode* node) {
    xmlUnlinkNode(node);
    xmlFreeNode(node);
}

class Merging {
  public:
    Merging(const std::string& file, xmlNode* domain, const JobDomain& job)
        : file_(file), domain_(domain), job_(job) {}

    Status check() {
        if (name_of(domain_) != "domain") return refuse(domain_, "the template must be a <domain>");
        for (auto* node : elements(domain_)) {
            if (name_of(node) == "memoryBacking")
                return refuse(node, "memory that is shared or of huge pages of its own cannot be "
                                    "checkpointed; leave it out");
            if (name_of(node) == "os") TLC_TRY(check_os(node));
            if (!one_of(name_of(node), kept) && !one_of(name_of(node), replaced))
                return refuse(node, "has no effect on a job's VM; leave it out");
        }
        auto* devices = child(domain_, "devices");
        if (devices == nullptr) return {};
        for (auto* node : elements(devices))
            TLC_TRY(check_device(node));
        return {};
    }

    void merge() {
        for (auto* node : elements(domain_))
            if (one_of(name_of(node), replaced)) remove(node);
        xmlSetProp(domain_, xml("type"), xml(job_.accelerator == "kvm" ? "kvm" : "qemu"));
        add(domain_, "name", "tlc");
        xmlSetProp(add(domain_, "memory", fmt::format("{}", job_.memory_mebibytes)), xml("unit"), xml("MiB"));
        add(domain_, "vcpu", fmt::format("{}", job_.vcpus));
        auto* type = add(add(domain_, "os", ""), "type", "hvm");
        xmlSetProp(type, xml("arch"), xml("x86_64"));
        xmlSetProp(type, xml("machine"), xml(job_.machine.c_str()));
        // Without ACPI the guest could not end its machine.
        auto* features = child_or_new(domain_, "features");
        child_or_new(features, "acpi");
        child_or_new(features, "apic");

        auto* devices = child_or_new(domain_, "devices");
        if (auto* emulator = child(devices, "emulator")) remove(emulator);
        add(devices, "emulator", job_.qemu);
        // What libvirt would add unasked.
        if (child(devices, "memballoon") == nullptr)
            xmlSetProp(add(devices, "memballoon", ""), xml("model"), xml("none"));
        const auto all = elements(devices);
        if (std::none_of(all.begin(), all.end(), [](auto* node) {
                return name_of(node) == "controller" && attribute(node, "type") == "usb";
            })) {
            auto* usb = add(devices, "controller", "");
            xmlSetProp(usb, xml("type"), xml("usb"));
            xmlSetProp(usb, xml("model"), xml("none"));
        }
    }

  private:
    static xmlNode* add(xmlNode* parent, const char* name, const std::string& text) {
        return xmlNewTextChild(parent, nullptr, xml(name), text.empty() ? nullptr : xml(text.c_str()));
    }

    tl::unexpected<Error> refuse(const xmlNode* node, std::string_view why) {
        return fail(ErrorKind::usage, "{}:{}: <{}>: {}", file_, xmlGetLineNo(node), name_of(node), why);
    }

    Status check_os(xmlNode* os) {
        for (auto* node : elements(os))
            if (name_of(node) != "type" && name_of(node) != "boot")
                return refuse(node, "the job's kernel is booted, as tlc.toml says; leave it out");
        return {};
    }

    Status check_device(xmlNode* node) {
        const auto name = name_of(node);
        if (name == "emulator") return {};
        if (name == "disk") return refuse(node, "a job's VM has its own disks and no others; leave it out");
        if (name == "interface" && attribute(node, "type") != "user")
            return refuse(node, "only type='user' can be checkpointed; others are of the host");
        if (!one_of(name, devices_kept))
            return refuse(node, "it is of the host, and the VM could not be checkpointed or not be restored "
                                "elsewhere; leave it out");
        return {};
    }

    const std::string& file_;
    xmlNode* domain_;
    const JobDomain& job_;
};

} // namespace

Result<MergedDomain> merge_domain(const std::string& name, const std::string& text, const JobDomain& job) {
    // No entity is replaced and nothing fetched.
    const std::unique_ptr<xmlDoc, void (*)(xmlDoc*)> document(
        xmlReadMemory(text.data(), static_cast<int>(text.size()), name.c_str(), nullptr,
                      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING),
        xmlFreeDoc);
    auto* root = document ? xmlDocGetRootElement(document.get()) : nullptr;
    if (root == nullptr) {
        const auto* error = xmlGetLastError();
        std::string what = error && error->message ? error->message : "it is empty";
        while (what.ends_with('\n'))
            what.pop_back();
        return fail(ErrorKind::usage, "{}:{}: this is not XML: {}", name, error ? error->line : 0, what);
    }
    Merging merging(name, root, job);
    TLC_TRY(merging.check());
    MergedDomain merged;
    merged.has_cpu = child(root, "cpu") != nullptr;
    merging.merge();
    xmlChar* bytes = nullptr;
    int size = 0;
    xmlDocDumpMemory(document.get(), &bytes, &size);
    merged.xml.assign(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
    xmlFree(bytes);
    return merged;
}

} // namespace tlc
