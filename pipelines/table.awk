# Facts of several rows as a table: TSV, or Markdown with -v markdown=1.
#
#   awk -f table.awk -v columns="tv tv-deviation seconds" ROW/facts.tsv...
#
# A file has lines KEY<tab>VALUE[<tab>DEVIATION[<tab>...]], and the name of its folder is the row's.
# A column is a KEY, or KEY-deviation; what a row does not have stays empty. Markdown rounds to four
# digits, writes a deviation behind its value, and leaves out rows that have none of the columns.

function value(row, key) {
    if (!((row, key) in fact))
        return ""
    if (!markdown)
        return fact[row, key]
    if ((row, key "-deviation") in fact)
        return sprintf("%.4g ± %.2g", fact[row, key], fact[row, key "-deviation"])
    return sprintf("%.4g", fact[row, key])
}

BEGIN {
    FS = "\t"
    count = split(columns, column, " ")
    between = markdown ? " | " : "\t"
    first = markdown ? "| " : ""
    last = markdown ? " |" : ""
}

FNR == 1 {
    row = FILENAME
    sub(/\/[^\/]*$/, "", row)
    sub(/.*\//, "", row)
    name[++rows] = row
}

{
    fact[row, $1] = $2
    if ($3 != "")
        fact[row, $1 "-deviation"] = $3
}

END {
    line = first "row"
    rule = "|---|"
    for (i = 1; i <= count; i++) {
        line = line between column[i]
        rule = rule "--:|"
    }
    print line last
    if (markdown)
        print rule
    for (r = 1; r <= rows; r++) {
        line = first name[r]
        filled = ""
        for (i = 1; i <= count; i++) {
            line = line between value(name[r], column[i])
            filled = filled value(name[r], column[i])
        }
        if (filled != "" || !markdown)
            print line last
    }
}
