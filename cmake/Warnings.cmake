# SPDX-License-Identifier: Apache-2.0
set(GRADCLIP_WARNINGS -Wall -Wextra -Wconversion -Wshadow -Werror)
