defmodule @@MODULE@@.@@NAME@@ do
  @moduledoc "Generated module."
@@USE@@@@FUNCTIONS@@
end
