defmodule @@MODULE@@ do
  @moduledoc "Generated package @@APP@@."

  defprotocol Describe do
    @moduledoc "A line about a record."
    def describe(record)
  end
end
