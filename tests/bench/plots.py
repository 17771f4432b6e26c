"""Bars as SVG, for a report that is read in a browser or on a code host."""
from html import escape

WIDTH, BAR, GAP, LABEL, VALUE = 860, 18, 10, 330, 110
COLOURS = {"ours": "#2f6f9f", "yardstick": "#9aa5ad", "others": "#c58a3d"}


def bars(title, unit, rows):
    """A chart: `rows` are (name, value, kind), the kind one of COLOURS; the longest bar fills the width."""
    most = max(value for _, value, _ in rows) or 1
    height = 48 + len(rows) * (BAR + GAP)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
             f'<text x="10" y="24" font-size="15">{escape(title)} ({escape(unit)})</text>']
    for number, (name, value, kind) in enumerate(rows):
        top = 40 + number * (BAR + GAP)
        length = max(1, (WIDTH - LABEL - VALUE) * value / most)
        lines.append(f'<text x="{LABEL - 8}" y="{top + 13}" text-anchor="end">{escape(name)}</text>'
                     f'<rect x="{LABEL}" y="{top}" width="{length:.1f}" height="{BAR}" fill="{COLOURS[kind]}"/>'
                     f'<text x="{LABEL + length + 6:.1f}" y="{top + 13}">{value:,.{0 if value >= 100 else 1}f}</text>')
    return "\n".join([*lines, "</svg>", ""])
