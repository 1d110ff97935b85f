// SPDX-License-Identifier: GPL-2.0-or-later
#include <guest/accounts.hpp>

#include <sstream>

namespace tlc::guest {
namespace {

// Whether a line has `id` as its third field and, if given, `name` as its first.
bool has_entry(const std::string& text, const std::string& name, uint32_t id) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream fields(line);
        std::string first, password, third;
        std::getline(fields, first, ':');
        std::getline(fields, password, ':');
        std::getline(fields, third, ':');
        if (third == std::to_string(id) && (name.empty() || first == name)) return true;
    }
    return false;
}

bool has_word(const std::string& text, const std::string& word) {
    std::istringstream words(text);
    for (std::string each; words >> each;)
        if (each == word) return true;
    return false;
}

} // namespace

std::string with_user(std::string passwd, const Job& job) {
    if (has_entry(passwd, job.user, job.uid)) return passwd;
    return fmt::format("{}:x:{}:{}::{}:/bin/bash\n", job.user, job.uid, job.gid, job.home) + passwd;
}

std::string with_groups(std::string group, const Job& job) {
    for (gid_t id : job.groups) {
        if (id == job.gid || has_entry(group, "", id)) continue;
        if (!group.empty() && group.back() != '\n') group += '\n';
        group += fmt::format("g{}:x:{}:{}\n", id, id, job.user);
    }
    if (has_entry(group, job.group, job.gid)) return group;
    return fmt::format("{}:x:{}:\n", job.group, job.gid) + group;
}

std::string with_host(std::string hosts, const std::string& hostname) {
    if (!hosts.empty() && hosts.back() != '\n') hosts += '\n';
    if (!has_word(hosts, "localhost")) hosts += "127.0.0.1 localhost\n::1 localhost\n";
    if (!has_word(hosts, hostname)) hosts += "127.0.1.1 " + hostname + "\n";
    return hosts;
}

} // namespace tlc::guest
