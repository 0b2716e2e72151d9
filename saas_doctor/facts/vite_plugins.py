"""The imports of a Vite configuration: which may bring a plugin that sets a proxy or answers by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from saas_doctor.facts.javascript import arguments_of, string_of, text_of, walk

if TYPE_CHECKING:
    from tree_sitter import Node

# What builds, transforms or shows something, and leaves the dev server's calls alone.
_HARMLESS = re.compile(
    r"(?:node:)?(?:path|url|fs|os|process|module|child_process|crypto|util|http|https)(?:/\w+)?"
    r"|vite|vitest(?:/config)?|vite-tsconfig-paths|dotenv|dotenv-expand|rollup(?:-plugin-.*)?|@rollup/.*"
    r"|@vitejs/plugin-.*|@preact/preset-vite|@sveltejs/vite-plugin-svelte|vite-plugin-solid"
    r"|@tailwindcss/.*|tailwindcss(?:/.*)?|autoprefixer|postcss(?:-.*)?|@?unocss(?:/vite)?|sass|lightningcss"
    r"|@tanstack/router-plugin/vite|@tanstack/router-vite-plugin|@stylexjs/.*|@vanilla-extract/vite-plugin"
    r"|unplugin-.*|@intlify/.*|@lingui/vite-plugin|@sentry/vite-plugin|@storybook/.*|@mdx-js/rollup"
    r"|vite-plugin-(?:pwa|svgr?|svg-icons|checker|inspect|compression2?|html|eslint2?|stylelint|windicss"
    r"|vue-devtools|vue-layouts|pages|dts|static-copy|node-polyfills|mkcert|qrcode|components|restart"
    r"|full-reload|css-injected-by-js|lib-inject-css|singlefile|image-optimizer|imagemin|babel|wasm"
    r"|top-level-await|commonjs|glsl|markdown|md|fonts|remove-console|circular-dependency|vuetify)"
    r"|vite-(?:svg-loader|imagetools|bundle-analyzer|bundle-visualizer)|@vue/.*|react|vue|svelte-preprocess"
)


def doubtful_import(root: Node) -> str:
    """The first package that a configuration imports and of which is not known that it is harmless."""
    return next((name for name in _imported(root) if not _HARMLESS.fullmatch(name)), "")


def _imported(root: Node) -> Iterator[str]:
    for node in walk(root):
        source: Node | None = None
        if node.type == "import_statement":
            if text_of(node).startswith("import type"):
                continue
            source = node.child_by_field_name("source")
        elif node.type == "call_expression":
            called = text_of(node.child_by_field_name("function"))
            given = arguments_of(node)
            source = given[0] if called in ("require", "import") and given else None
        told = string_of(source) if source is not None else None
        if told and told[1] and not told[0].startswith("."):
            yield told[0]
