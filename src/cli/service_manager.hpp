// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace meridian::cli {

/// Tells the service manager that started this process how it is: `READY=1` or `STOPPING=1`, by the
/// protocol of systemd's sd_notify(3). Does nothing without one (NOTIFY_SOCKET is not set). Never
/// blocks for long; what cannot be sent is dropped, since only the manager would care.
void tell_service_manager(std::string_view state);

}  // namespace meridian::cli
