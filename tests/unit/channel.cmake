# SPDX-License-Identifier: GPL-2.0-or-later
tlc_unit_test(NAME channel_messages SOURCES channel_messages_test.cpp DEPENDS tlc_channel)
tlc_unit_test(NAME channel_socket SOURCES channel_socket_test.cpp DEPENDS tlc_channel)
